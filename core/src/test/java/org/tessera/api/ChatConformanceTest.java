package org.tessera.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tessera.testing.ChatCase;
import org.tessera.testing.ReferenceVectors;

/** Whole conversations against what the original model code answered. */
class ChatConformanceTest {
  private static Tessera tessera;

  @BeforeAll
  static void load() {
    tessera =
        Tessera.load(ReferenceVectors.path("checkpoint"), LoadOptions.defaults().withDevice("cpu"));
  }

  @AfterAll
  static void close() {
    if (tessera != null) {
      tessera.close();
    }
  }

  static List<ChatCase> cases() {
    return ChatCase.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void greedy(ChatCase chat) {
    Assumptions.assumeTrue(chat.json().has("greedy"));
    ChatResponse response =
        tessera.chat(chat.request(GenerationOptions.greedy().withMaxNewTokens(24)));

    assertThat(response.promptTokenIds()).isEqualTo(chat.ids("input_ids"));
    assertThat(response.tokenIds()).isEqualTo(chat.ids("greedy"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void greedyWithRepetitionPenalty(ChatCase chat) {
    Assumptions.assumeTrue(chat.json().has("greedy_repetition_1.2"));
    GenerationOptions options =
        GenerationOptions.greedy().withMaxNewTokens(24).withRepetitionPenalty(1.2f);

    assertThat(tessera.chat(chat.request(options)).tokenIds())
        .isEqualTo(chat.ids("greedy_repetition_1.2"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void beamSearch(ChatCase chat) {
    Assumptions.assumeTrue(chat.json().has("beam3_repetition_1.2"));
    GenerationOptions options = GenerationOptions.beamSearch().withMaxNewTokens(20);

    assertThat(tessera.chat(chat.request(options)).tokenIds())
        .isEqualTo(chat.ids("beam3_repetition_1.2"));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void greedyWithMinNewTokens(ChatCase chat) {
    Assumptions.assumeTrue(chat.json().has("greedy_min_new_tokens_8"));
    GenerationOptions options = GenerationOptions.greedy().withMaxNewTokens(12).withMinNewTokens(8);

    assertThat(tessera.chat(chat.request(options)).tokenIds())
        .isEqualTo(chat.ids("greedy_min_new_tokens_8"));
  }

  @Test
  void allCasesAtTheSameTimeAnswerAsTheyDoAlone() {
    List<ChatCase> cases = cases();
    List<ChatResponse> responses =
        tessera.chat(
            cases.stream()
                .map(chat -> chat.request(GenerationOptions.greedy().withMaxNewTokens(24)))
                .toList());

    for (int i = 0; i < cases.size(); i++) {
      assertThat(responses.get(i).tokenIds())
          .as(cases.get(i).name())
          .isEqualTo(cases.get(i).ids("greedy"));
    }
  }

  /**
   * The file holds the texts of two conversations in one call and not the conversations: these two,
   * of 12 tokens each, are the ones of all pictures and questions of the vectors that give them.
   */
  @Test
  void twoConversationsInOneCallWithTheBeamPreset() {
    List<String> texts = new ArrayList<>();
    ReferenceVectors.json("chat_batched.json")
        .get("batched_beam")
        .forEach(text -> texts.add(text.asString()));
    List<ChatResponse> responses =
        tessera.chat(
            List.of(batched("small.png", "How many?"), batched("odd.png", "What is in it?")));

    assertThat(responses).extracting(ChatResponse::text).isEqualTo(texts);
  }

  private static ChatRequest batched(String image, String question) {
    Image picture = Image.of(ReferenceVectors.path("images").resolve(image));
    return ChatRequest.of(Message.user(question, picture))
        .with(GenerationOptions.beamSearch().withMaxNewTokens(12))
        .with(InputOptions.defaults().withApplyExif(false));
  }
}
