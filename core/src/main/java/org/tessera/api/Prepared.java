package org.tessera.api;

import org.tessera.engine.EngineRequest;
import org.tessera.prompt.Prompt;

/**
 * A request with its pictures cut and its prompt built.
 *
 * @param prompt all ids, as reported
 * @param request what the engine runs
 * @param millis time it took
 */
record Prepared(Prompt prompt, EngineRequest request, double millis) {
  Prepared with(GenerationOptions options) {
    return new Prepared(prompt, request.with(options), millis);
  }
}
