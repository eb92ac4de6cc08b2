package org.tessera.engine;

/**
 * What a step of the decoder gave.
 *
 * @param logits [step.logitRows][vocab_size]
 * @param greedyIds [step.greedyRows] likeliest tokens, or what {@link org.tessera.ops.Ops#argmax}
 *     gives where there is none
 * @param sampledIds [step.sampledRows] chosen tokens, or what {@link org.tessera.ops.Ops#sample}
 *     gives where there is none
 */
@SuppressWarnings("ArrayRecordComponent") // lives for one step
public record StepOutput(float[][] logits, int[] greedyIds, int[] sampledIds) {}
