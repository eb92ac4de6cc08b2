package org.tessera.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.LoadOptions;
import org.tessera.api.Tessera;
import org.tessera.error.PlanException;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;

/** A model cut over CPU ranks answers as the original does whole. */
class TensorParallelTest {
  private static final List<String> CASES = List.of("text_only", "no_slice", "second_image_turn2");

  @Test
  void cutInTwoTheAnswersAreTheSame() {
    try (Tessera tessera = load(2)) {
      for (ChatCase chat : ChatCase.all()) {
        if (CASES.contains(chat.name())) {
          assertThat(ids(tessera, chat, GenerationOptions.greedy().withMaxNewTokens(24)))
              .as(chat.name())
              .isEqualTo(chat.ids("greedy"));
          assertThat(ids(tessera, chat, GenerationOptions.beamSearch().withMaxNewTokens(20)))
              .as(chat.name())
              .isEqualTo(chat.ids("beam3_repetition_1.2"));
        }
      }
    }
  }

  @Test
  void headsThatCannotBeSharedAreRefused() {
    assertThatThrownBy(() -> load(3).close())
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("3 equal parts");
  }

  private static List<Integer> ids(Tessera tessera, ChatCase chat, GenerationOptions options) {
    ChatRequest request = chat.request(options);
    return tessera.chat(request).tokenIds();
  }

  private static Tessera load(int ranks) {
    return Tessera.load(
        ReferenceVectors.path("checkpoint"),
        LoadOptions.defaults().withDevice("cpu").withTensorParallel(ranks));
  }
}
