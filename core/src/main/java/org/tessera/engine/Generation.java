package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import org.tessera.api.FinishReason;
import org.tessera.engine.EngineRequest.ImageInput;
import org.tessera.kv.BlockPool;
import org.tessera.kv.SequenceTokens;
import org.tessera.model.VisionLanguageModel;

/** A request on its way through the engine. Only {@link #cancel} may come from another thread. */
public final class Generation {
  final EngineRequest request;
  final GenerationListener listener;
  final Decoding decoding;
  final ImageFeatures features;
  final int promptTokens;

  List<Sequence> sequences;
  final List<Integer> tokenIds = new ArrayList<>();
  int cachedTokens;
  long visionNanos;
  long prefillNanos;

  private final long submittedNanos = System.nanoTime();
  private long admittedNanos;
  private long firstTokenNanos;
  private volatile boolean cancelled;

  Generation(
      long id,
      EngineRequest request,
      GenerationListener listener,
      BlockPool pool,
      ModelRunner runner) {
    VisionLanguageModel.Spec spec = runner.spec();
    this.request = request;
    this.listener = listener;
    this.decoding = Decoding.of(request, spec.vocabSize(), runner.samplesOnDevice());
    this.features = new ImageFeatures(id, request.images(), spec.queryNum());
    this.promptTokens = request.promptIds().length;
    SequenceTokens tokens =
        new SequenceTokens(
            request.promptIds(),
            request.images().stream().map(ImageInput::range).toList(),
            request.cacheSalt());
    this.sequences = List.of(new Sequence(tokens, pool.lease(), 0));
  }

  /** Ends the generation after the step in work. */
  public void cancel() {
    cancelled = true;
  }

  /** Whether this computes the very prompt that {@code other} asks for, and has not done so yet. */
  boolean isComputingPromptOf(Generation other) {
    return tokenIds.isEmpty() && request.promptIds() == other.request.promptIds();
  }

  /** Its turn has come. */
  void noteAdmitted() {
    cachedTokens = firstPendingPosition();
    if (admittedNanos == 0) {
      admittedNanos = System.nanoTime();
    }
  }

  boolean isCancelled() {
    return cancelled;
  }

  /** Whether all sequences wait for their next token. */
  boolean isReadyToAdvance() {
    return sequences.stream().allMatch(sequence -> sequence.scores != null);
  }

  /** The first position that some sequence has not computed. */
  int firstPendingPosition() {
    return sequences.stream().mapToInt(sequence -> sequence.computed).min().orElse(0);
  }

  void noteToken(int id) {
    if (firstTokenNanos == 0) {
      firstTokenNanos = System.nanoTime();
    }
    tokenIds.add(id);
  }

  void release(ModelRunner runner) {
    sequences.forEach(sequence -> sequence.lease.close());
    sequences = List.of();
    features.release(runner);
  }

  GenerationResult result(FinishReason reason) {
    long now = System.nanoTime();
    long first = firstTokenNanos == 0 ? now : firstTokenNanos;
    return new GenerationResult(
        tokenIds,
        reason,
        cachedTokens,
        features.encodedSlices(),
        admittedNanos == 0 ? now - submittedNanos : admittedNanos - submittedNanos,
        visionNanos,
        prefillNanos,
        first - submittedNanos,
        now - first);
  }
}
