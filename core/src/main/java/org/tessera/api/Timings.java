package org.tessera.api;

/**
 * Where the time of a request went.
 *
 * @param preprocessMillis decoding, slicing and resizing pictures, and building the prompt
 * @param queueMillis waiting for a turn
 * @param visionMillis vision tower and resampler
 * @param prefillMillis the decoder over the prompt
 * @param timeToFirstTokenMillis from the request to its first token
 * @param decodeTokensPerSecond tokens after the first over the time they took; 0 for a single one
 */
public record Timings(
    double preprocessMillis,
    double queueMillis,
    double visionMillis,
    double prefillMillis,
    double timeToFirstTokenMillis,
    double decodeTokensPerSecond) {}
