package org.tessera.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class OriginalCompatTest {
  private static final int BOS = 151_644;
  private static final Set<Integer> TERMINATORS = Set.of(151_645, 151_643);

  @Test
  void dropsZerosThenOneLeadingBosThenOneTrailingTerminator() {
    assertThat(tokensOfAnswer(0, BOS, 5, 0, 6, 151_645, 0)).containsExactly(5, 6);
    assertThat(tokensOfAnswer(BOS, BOS, 5, 151_643, 151_645)).containsExactly(BOS, 5, 151_643);
    assertThat(tokensOfAnswer(5, BOS, 151_645, 6)).containsExactly(5, BOS, 151_645, 6);
  }

  @Test
  void nothingLeftIsAnEmptyAnswer() {
    assertThat(tokensOfAnswer()).isEmpty();
    assertThat(tokensOfAnswer(0, 0)).isEmpty();
    assertThat(tokensOfAnswer(BOS)).isEmpty();
    assertThat(tokensOfAnswer(151_645)).isEmpty();
    assertThat(tokensOfAnswer(0, BOS, 151_645)).isEmpty();
  }

  private static List<Integer> tokensOfAnswer(Integer... tokenIds) {
    return OriginalCompat.tokensOfAnswer(List.of(tokenIds), BOS, TERMINATORS);
  }
}
