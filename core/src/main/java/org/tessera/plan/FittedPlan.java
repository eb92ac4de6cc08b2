package org.tessera.plan;

import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.tessera.error.PlanException;
import org.tessera.tensor.DType;

/**
 * A plan and the sizes for which it has room.
 *
 * @param request what was planned for
 */
public record FittedPlan(Plan plan, PlanRequest request) {
  /** Context for which room is planned where the caller does not say. */
  private static final int DEFAULT_CONTEXT_TOKENS = 16_384;

  /** A few pictures and a conversation about them: less is not taken without being asked for. */
  private static final int LEAST_CONTEXT_TOKENS = 4096;

  /** Rows of a prompt and slices of pictures that a device takes at once. */
  private record Steps(int prefillTokens, int slices) {}

  /** Smaller steps hardly cost a GPU time, and save it gigabytes of activations. */
  private static final List<Steps> GPU_STEPS =
      List.of(
          new Steps(PlanRequest.GPU_PREFILL_TOKENS, PlanRequest.GPU_SLICES),
          new Steps(2048, 10),
          new Steps(512, 4));

  private static final List<Steps> CPU_STEPS = List.of(new Steps(512, 1));

  /**
   * Plans for the largest steps, and where no context is asked for the longest context, that the
   * GPUs hold. Where they hold none, the CPU gets what is left over of the least.
   *
   * @param devices what was found
   * @param contextTokens of one conversation; absent for what suits the model and the memory
   * @param longestContextTokens for which the model was made
   * @param batch conversations at once
   * @throws PlanException as {@link PlanService#plan} for the least of these sizes
   */
  public static FittedPlan of(
      ModelSizes sizes,
      PlanOptions options,
      List<DeviceBudget> devices,
      OptionalInt contextTokens,
      int longestContextTokens,
      int batch,
      DType dtype) {
    boolean hasGpu =
        Stream.concat(
                devices.stream().map(DeviceBudget::device),
                options.maxMemory().stream().flatMap(bytes -> bytes.keySet().stream()))
            .anyMatch(DeviceId::isGpu);
    // A map that the user gives may well lay layers on the CPU.
    boolean gpusAlone = hasGpu && isAuto(options);
    int wanted = contextTokens.orElse(Math.min(longestContextTokens, DEFAULT_CONTEXT_TOKENS));
    int least = contextTokens.orElse(Math.min(wanted, LEAST_CONTEXT_TOKENS));
    List<PlanRequest> requests =
        Stream.iterate(wanted, tokens -> tokens >= least, tokens -> tokens / 2)
            .flatMap(tokens ->
                (hasGpu ? GPU_STEPS : CPU_STEPS)
                    .stream()
                        .map(steps ->
                            new PlanRequest(
                                tokens, batch, steps.slices, steps.prefillTokens, dtype)))
            .toList();
    for (PlanRequest request : requests.subList(0, requests.size() - 1)) {
      try {
        Plan plan = PlanService.plan(sizes, options, devices, request);
        if (!gpusAlone || usesGpusAlone(plan)) {
          return new FittedPlan(plan, request);
        }
      } catch (PlanException e) {
        // A smaller one may fit; what the least one is refused for is what the user hears.
      }
    }
    PlanRequest last = requests.getLast();
    return new FittedPlan(PlanService.plan(sizes, options, devices, last), last);
  }

  private static boolean isAuto(PlanOptions options) {
    return options.deviceMap().equals(new DeviceMapChoice.Named(Strategy.AUTO))
        && !options.accelerateCompat();
  }

  private static boolean usesGpusAlone(Plan plan) {
    return plan.deployment().stream()
        .flatMap(deployment -> deployment.replicas().stream())
        .flatMap(replica -> replica.devices().stream())
        .allMatch(DeviceId::isGpu);
  }
}
