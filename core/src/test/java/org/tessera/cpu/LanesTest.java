package org.tessera.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LanesTest {
  private static float exp(float x) {
    return Lanes.exp(FloatVector.broadcast(Lanes.FLOATS, x)).lane(0);
  }

  @Test
  void expIsWithinTwoUnitsInTheLastPlace() {
    double worst = 0;
    for (float x = -87.3f; x < 88.02f; x += 0.0017f) {
      double expected = Math.exp(x);
      worst = Math.max(worst, Math.abs(exp(x) - expected) / Math.ulp((float) expected));
    }
    assertThat(worst).isLessThan(2);
  }

  @Test
  void expAtTheEdges() {
    assertThat(exp(0)).isEqualTo(1);
    assertThat(exp(-88)).isZero();
    assertThat(exp(Float.NEGATIVE_INFINITY)).isZero();
    assertThat(exp(Float.POSITIVE_INFINITY)).isFinite().isGreaterThan(1.7e38f);
    assertThat(exp(Float.NaN)).isNaN();
  }

  @Test
  void activationsKeepTheirDigits() {
    for (float x = -12; x < 12; x += 0.013f) {
      FloatVector v = FloatVector.broadcast(Lanes.FLOATS, x);
      double silu = x / (1 + Math.exp(-x));
      double u = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
      double gelu = x / (1 + Math.exp(-2 * u));
      double siluError = Math.abs(Lanes.silu(v).lane(0) - silu);
      double geluError = Math.abs(Lanes.geluTanh(v).lane(0) - gelu);
      assertThat(siluError).isLessThanOrEqualTo(5e-7 * Math.abs(silu) + 1e-37);
      assertThat(geluError).isLessThanOrEqualTo(5e-7 * Math.abs(gelu) + 1e-7 * Math.abs(x));
    }
  }

  @Test
  void activationsOfLargeNumbers() {
    FloatVector large = FloatVector.broadcast(Lanes.FLOATS, 1e15f);
    assertThat(Lanes.silu(large).lane(0)).isEqualTo(1e15f);
    assertThat(Lanes.geluTanh(large).lane(0)).isEqualTo(1e15f);
    assertThat(Lanes.silu(large.neg()).lane(0)).isCloseTo(0f, within(1e-20f));
    assertThat(Lanes.geluTanh(large.neg()).lane(0)).isCloseTo(0f, within(1e-20f));
  }
}
