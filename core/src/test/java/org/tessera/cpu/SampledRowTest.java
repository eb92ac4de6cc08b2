package org.tessera.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

/** The parts of which every device's sampling is made. */
class SampledRowTest {
  @Test
  void philoxGivesItsKnownAnswers() {
    // Random123's: the counter and the key all zero.
    assertThat(Philox.next(0, 0)).isEqualTo(0xE169C58D_6627E8D5L);
    // Those of the twin in tools/gpu/kernels/check_sampling.py.
    assertThat(Philox.next(0x123456789ABCDEF0L, 7)).isEqualTo(0x84C69006_2A23B679L);
    assertThat(Philox.next(-1, -1)).isEqualTo(0x7C03AF71_C25672DEL);
    assertThat(Philox.next(42, 1)).isEqualTo(0x53BA6CFD_FCDB2127L);
  }

  @Test
  void weightsAreExponentialsWith44BitsAfterThePoint() {
    assertThat(SampledRow.fixedPointExp(0)).isEqualTo(1L << 44);
    assertThat(SampledRow.fixedPointExp(-0f)).isEqualTo(1L << 44);
    assertThat(SampledRow.fixedPointExp(-30.4f)).isEqualTo(1);
    assertThat(SampledRow.fixedPointExp(-30.6f)).isZero();
    assertThat(SampledRow.fixedPointExp(-31)).isZero();
    assertThat(SampledRow.fixedPointExp(Float.NEGATIVE_INFINITY)).isZero();
    for (float x = 0; x > -31; x -= 0.000_97f) {
      double exact = Math.exp(x) * 0x1p44;
      assertThat((double) SampledRow.fixedPointExp(x))
          .as("e^%s", x)
          .isCloseTo(exact, within(exact * 0x1p-22 + 1));
    }
  }
}
