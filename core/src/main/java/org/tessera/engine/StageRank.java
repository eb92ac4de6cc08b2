package org.tessera.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tessera.device.Device;
import org.tessera.device.Workspace;
import org.tessera.engine.RankRunner.Passage;
import org.tessera.model.VisionLanguageModel;
import org.tessera.parallel.ModelPart;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** One rank of a stage, with its ways to the ranks of the stages before and after it. */
final class StageRank implements AutoCloseable {
  private final RankRunner runner;
  private final Device device;
  private final boolean hasHead;
  private final List<Handover> outgoing = new ArrayList<>();
  private @Nullable Handover incoming;

  /**
   * Hidden states of all micro-batches of a step that are on their way: the copies may run behind
   * what is issued here.
   */
  private final Workspace sent;

  private Workspace.@Nullable Scope step;

  StageRank(VisionLanguageModel model, Device device, ModelPart part, EngineOptions options) {
    this.device = device;
    hasHead = part.hasHead();
    runner = new RankRunner(model, device, part, options);
    sent = new Workspace(device);
  }

  RankRunner runner() {
    return runner;
  }

  Device device() {
    return device;
  }

  /** Lets this rank's hidden states pass to a rank of the next stage. */
  Handover connect(StageRank next) {
    Handover handover = new Handover(device, next.device);
    outgoing.add(handover);
    next.incoming = handover;
    return handover;
  }

  /** Runs one micro-batch. The output is empty unless this is the last stage. */
  StepOutput run(StepInput microBatch) {
    if (step == null) {
      step = sent.open();
    }
    Handover source = incoming;
    return runner.run(
        microBatch,
        new Passage(
            source == null ? Optional.empty() : Optional.of(source::take),
            hasHead ? Optional.empty() : Optional.of(this::give)));
  }

  private void give(Tensor hidden) {
    if (outgoing.isEmpty()) {
      return; // another rank of this stage has the same and gives them
    }
    Tensor kept = sent.allocate(hidden.rows(), hidden.columns());
    device.ops().copy(hidden, kept);
    outgoing.forEach(handover -> handover.give(kept));
  }

  /**
   * Waits until what this rank was given in a step is here, after which the rank that gave it may
   * write its memory again.
   */
  void settle() {
    if (incoming != null) {
      try (var scope = sent.open()) {
        device.download(sent.allocate(DType.F32, 1, 1));
      }
    }
  }

  /** Ends a step, settled or failed. */
  void endStep() {
    if (step != null) {
      step.close();
      step = null;
    }
  }

  @Override
  public void close() {
    try {
      runner.close();
    } finally {
      sent.close();
    }
  }
}
