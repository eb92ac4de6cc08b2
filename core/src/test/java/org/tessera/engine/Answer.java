package org.tessera.engine;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.tessera.api.GenerationOptions;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.sampling.TokenChoice;

/** Waits for the end of a generation, for a while. */
final class Answer implements GenerationListener {
  private final CompletableFuture<GenerationResult> result = new CompletableFuture<>();

  static EngineRequest greedy(int[] prompt, int maxNewTokens, ImageInput... images) {
    return new EngineRequest(
        prompt,
        List.of(images),
        GenerationOptions.greedy().withMaxNewTokens(maxNewTokens),
        Set.of());
  }

  static Answer of(Engine engine, EngineRequest request) {
    Answer answer = new Answer();
    engine.submit(request, answer);
    return answer;
  }

  GenerationResult result() throws Exception {
    return result.get(20, TimeUnit.SECONDS);
  }

  List<Integer> ids() throws Exception {
    return result().tokenIds();
  }

  boolean isDone() {
    return result.isDone();
  }

  @Override
  public boolean onToken(TokenChoice choice) {
    return true;
  }

  @Override
  public void onFinished(GenerationResult finished) {
    result.complete(finished);
  }

  @Override
  public void onFailed(RuntimeException cause) {
    result.completeExceptionally(cause);
  }
}
