package org.tessera.plan;

/**
 * What {@link TimeModel} expects of a deployment.
 *
 * @param firstTokenSeconds from pixels and prompt to the first token of one answer that has the
 *     devices to itself
 * @param tokenSeconds between two tokens of an answer, with as many answers at once as were asked
 *     for
 * @param tokensPerSecond of all those answers together
 */
public record Prediction(double firstTokenSeconds, double tokenSeconds, double tokensPerSecond) {}
