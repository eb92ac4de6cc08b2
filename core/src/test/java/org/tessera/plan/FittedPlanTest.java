package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.tessera.error.PlanException;
import org.tessera.tensor.DType;

/** For what sizes a plan is made where memory is short. */
class FittedPlanTest {
  private static final long GIB = 1L << 30;
  private static final ModelSizes FULL = Sizes.full().build();
  private static final int LONGEST = 32_768;
  private static final OptionalInt ANY = OptionalInt.empty();
  private static final DeviceBudget CPU = new DeviceBudget(DeviceId.CPU, 64 * GIB);

  @Test
  void whereMemorySufficesContextAndStepsAreTheLargest() {
    FittedPlan fitted = fitted(PlanOptions.AUTO, ANY, gpu(80), CPU);

    assertThat(fitted.request().contextTokens()).isEqualTo(16_384);
    assertThat(fitted.request().prefillTokens()).isEqualTo(PlanRequest.GPU_PREFILL_TOKENS);
    assertThat(fitted.request().sliceCount()).isEqualTo(PlanRequest.GPU_SLICES);
    assertThat(devices(fitted)).containsOnly(DeviceId.gpu(0));
  }

  @Test
  void stepsShrinkBeforeTheContextDoes() {
    FittedPlan fitted = fitted(PlanOptions.AUTO, ANY, gpu(17.5), CPU);

    assertThat(fitted.request().contextTokens()).isEqualTo(16_384);
    assertThat(fitted.request().prefillTokens()).isLessThan(PlanRequest.GPU_PREFILL_TOKENS);
    assertThat(devices(fitted)).containsOnly(DeviceId.gpu(0));
  }

  @Test
  void aShorterContextOnTheGpuIsBetterThanLayersOnTheCpu() {
    FittedPlan fitted = fitted(PlanOptions.AUTO, ANY, gpu(16.4), CPU);

    assertThat(fitted.request().contextTokens()).isBetween(4096, 8192);
    assertThat(devices(fitted)).containsOnly(DeviceId.gpu(0));
  }

  @Test
  void whatTheGpuCannotHoldGoesToTheCpu() {
    FittedPlan fitted = fitted(PlanOptions.AUTO, ANY, gpu(12), CPU);

    assertThat(devices(fitted)).containsExactlyInAnyOrder(DeviceId.gpu(0), DeviceId.CPU);
    assertThatThrownBy(() -> fitted(PlanOptions.AUTO, ANY, gpu(12)))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("does not fit");
  }

  @Test
  void aContextThatIsAskedForIsKept() {
    FittedPlan fitted = fitted(PlanOptions.AUTO, OptionalInt.of(16_000), gpu(16.4), CPU);

    assertThat(fitted.request().contextTokens()).isEqualTo(16_000);
    assertThat(devices(fitted)).contains(DeviceId.CPU);
  }

  @Test
  void aMapThatNamesTheCpuShrinksNothing() {
    PlanOptions options =
        new PlanOptions(
            new DeviceMapChoice.Explicit(
                new Placement(
                    Map.of(
                        "llm",
                        DeviceId.CPU,
                        "vpm",
                        DeviceId.gpu(0),
                        "resampler",
                        DeviceId.gpu(0)))),
            Optional.empty(),
            Optional.empty(),
            false);

    FittedPlan fitted = fitted(options, ANY, gpu(24), CPU);

    assertThat(fitted.request().contextTokens()).isEqualTo(16_384);
    assertThat(fitted.request().prefillTokens()).isEqualTo(PlanRequest.GPU_PREFILL_TOKENS);
  }

  @Test
  void noMoreContextIsPlannedThanTheModelWasMadeFor() {
    FittedPlan fitted =
        FittedPlan.of(FULL, PlanOptions.AUTO, List.of(CPU), ANY, 1000, 1, DType.BF16);

    assertThat(fitted.request().contextTokens()).isEqualTo(1000);
  }

  private static DeviceBudget gpu(double gib) {
    return new DeviceBudget(DeviceId.gpu(0), (long) (gib * GIB));
  }

  private static FittedPlan fitted(
      PlanOptions options, OptionalInt contextTokens, DeviceBudget... devices) {
    return FittedPlan.of(FULL, options, List.of(devices), contextTokens, LONGEST, 1, DType.BF16);
  }

  private static List<DeviceId> devices(FittedPlan fitted) {
    List<DeviceId> devices = new ArrayList<>();
    fitted
        .plan()
        .deployment()
        .orElseThrow()
        .replicas()
        .forEach(replica -> devices.addAll(replica.devices()));
    return devices;
  }
}
