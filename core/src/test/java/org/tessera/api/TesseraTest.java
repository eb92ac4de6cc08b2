package org.tessera.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.error.DeviceException;
import org.tessera.error.GenerationException;
import org.tessera.error.ImageException;
import org.tessera.error.InvalidRequestException;
import org.tessera.testing.ReferenceVectors;

/** The library's behaviour on the small reference checkpoint. */
class TesseraTest {
  private static final GenerationOptions GREEDY =
      GenerationOptions.greedy().withMaxNewTokens(16).withMinNewTokens(16);

  private static Tessera tessera;

  @BeforeAll
  static void load() {
    tessera = load(LoadOptions.defaults());
  }

  @AfterAll
  static void close() {
    if (tessera != null) {
      tessera.close();
    }
  }

  private static Tessera load(LoadOptions options) {
    return Tessera.load(ReferenceVectors.path("checkpoint"), options.withDevice("cpu"));
  }

  private static ChatRequest ask(String question) {
    return ChatRequest.of(Message.user(question)).with(GREEDY);
  }

  @Test
  void streamedPiecesMakeTheText() {
    StringBuilder streamed = new StringBuilder();
    try (TokenStream stream = tessera.stream(ask("How many circles are there?"))) {
      stream.forEach(streamed::append);

      assertThat(streamed.toString().strip()).isEqualTo(stream.response().text());
      assertThat(stream.response().finishReason()).isEqualTo(FinishReason.LENGTH);
      assertThat(stream.response().usage().completionTokens()).isEqualTo(16);
    }
  }

  @Test
  void cancellingEndsTheAnswerAndNothingElse() {
    GenerationOptions endless = GREEDY.withMaxNewTokens(8000).withMinNewTokens(8000);
    try (TokenStream stream = tessera.stream(ask("Go on").with(endless))) {
      Iterator<String> pieces = stream.iterator();
      assertThat(pieces.hasNext()).isTrue();
      stream.cancel();
      pieces.forEachRemaining(piece -> {});

      assertThat(stream.response().finishReason()).isEqualTo(FinishReason.CANCELLED);
      assertThat(stream.response().tokenIds()).hasSizeLessThan(8000);
    }
    assertThat(tessera.chat(ask("Still there?")).tokenIds()).isNotEmpty();
  }

  @Test
  void aSecondTurnReusesTheFirst() {
    List<Message> messages = new ArrayList<>();
    messages.add(Message.user("What is left of the red circle, and what is right of it?"));
    ChatRequest request = ask("").with(GREEDY);
    ChatResponse first =
        tessera.chat(new ChatRequest(messages, request.generation(), request.input()));
    messages.add(Message.assistant("A blue square."));
    messages.add(Message.user("And the other one?"));
    ChatResponse second =
        tessera.chat(new ChatRequest(messages, request.generation(), request.input()));

    int firstPrompt = first.usage().promptTokens();
    assertThat(second.usage().cachedTokens()).isBetween(firstPrompt - 24, firstPrompt);
    try (Tessera fresh = load(LoadOptions.defaults())) {
      ChatResponse uncached =
          fresh.chat(new ChatRequest(messages, request.generation(), request.input()));
      assertThat(uncached.usage().cachedTokens()).isZero();
      assertThat(second.tokenIds()).isEqualTo(uncached.tokenIds());
    }
  }

  @Test
  void picturesThatDifferInOneColourGetDifferentAnswersToTheSameQuestion() {
    ChatResponse red = tessera.chat(ask(square(255, 0, 0)));
    ChatResponse blue = tessera.chat(ask(square(0, 0, 255)));
    ChatResponse redAgain = tessera.chat(ask(square(255, 0, 0)));

    assertThat(red.promptTokenIds()).isEqualTo(blue.promptTokenIds());
    assertThat(red.tokenIds()).isNotEqualTo(blue.tokenIds()).isEqualTo(redAgain.tokenIds());
    assertThat(redAgain.usage().cachedTokens()).isGreaterThan(64);
    assertThat(redAgain.timings().visionMillis()).isZero();
  }

  @Test
  void aSeedFixesTheAnswerWhateverElseRuns() {
    ChatRequest seeded =
        ask("Tell me a story").with(GenerationOptions.sampling().withMaxNewTokens(24).withSeed(42));
    ChatResponse alone = tessera.chat(seeded);
    List<ChatRequest> requests = new ArrayList<>(List.of(seeded));
    for (int others = 1; others <= 12; others++) {
      ChatRequest other = ask("What of " + others + "?");
      requests.add(
          switch (others % 3) {
            case 0 -> other.with(GenerationOptions.beamSearch().withMaxNewTokens(8));
            case 1 -> other.with(GenerationOptions.sampling().withMaxNewTokens(4 * others));
            default -> other;
          });
      if (others % 3 == 0) {
        assertThat(tessera.chat(requests).getFirst().tokenIds())
            .as("among %d others", others)
            .isEqualTo(alone.tokenIds());
      }
    }
  }

  @Test
  void aCacheTooSmallForAllComputesThemOneAfterTheOther() {
    List<ChatRequest> requests = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      requests.add(ask("Question number " + i + " is about the colour of a square"));
    }
    requests.add(ask("Beams as well").with(GenerationOptions.beamSearch().withMaxNewTokens(16)));
    try (Tessera small = load(LoadOptions.defaults().withContextTokens(160))) {
      List<ChatResponse> together = small.chat(requests);
      for (int i = 0; i < requests.size(); i++) {
        assertThat(together.get(i).tokenIds()).isEqualTo(tessera.chat(requests.get(i)).tokenIds());
      }
    }
  }

  @Test
  void anAnswerThatFillsTheCacheEndsWithLength() {
    try (Tessera small = load(LoadOptions.defaults().withContextTokens(64))) {
      GenerationOptions filling = GREEDY.withMaxNewTokens(200).withMinNewTokens(200);
      ChatResponse response = small.chat(ask("Go on").with(filling));

      assertThat(response.finishReason()).isEqualTo(FinishReason.LENGTH);
      assertThat(response.usage().promptTokens() + response.usage().completionTokens())
          .isBetween(64, 66);
    }
  }

  @Test
  void stopStringsEndTheAnswerBeforeThem() {
    ChatResponse whole = tessera.chat(ask("How many red circles are left of the star?"));
    String stop = whole.text().substring(6, 9);
    ChatResponse cut =
        tessera.chat(ask("How many red circles are left of the star?").with(GREEDY.withStop(stop)));

    assertThat(cut.text()).isEqualTo(whole.text().substring(0, whole.text().indexOf(stop)).strip());
    assertThat(cut.finishReason()).isEqualTo(FinishReason.STOP);
  }

  @Test
  void logprobsComeWithEveryToken() {
    ChatResponse response = tessera.chat(ask("What?").with(GREEDY.withLogprobs(3)));

    assertThat(response.logprobs()).hasSameSizeAs(response.tokenIds());
    for (TokenLogprob token : response.logprobs()) {
      assertThat(token.top()).hasSize(3);
      assertThat(token.top().getFirst().tokenId()).isEqualTo(token.tokenId());
      assertThat(token.logprob()).isNegative();
    }
  }

  @Test
  void closingFailsWhatRunsAndWhatComesAfter() {
    Tessera closing = load(LoadOptions.defaults());
    GenerationOptions endless = GREEDY.withMaxNewTokens(8000).withMinNewTokens(8000);
    TokenStream stream = closing.stream(ask("Go on").with(endless));
    assertThat(stream.iterator().hasNext()).isTrue();
    Assertions.assertTimeoutPreemptively(Duration.ofSeconds(30), closing::close);

    assertThatThrownBy(stream::response)
        .isInstanceOf(GenerationException.class)
        .hasMessageContaining("closed");
    assertThatThrownBy(() -> closing.chat(ask("Hello?"))).isInstanceOf(GenerationException.class);
  }

  @Test
  void badRequestsAreRefusedWithASentence() {
    assertThatThrownBy(
            () -> tessera.chat(new ChatRequest(List.of(), GREEDY, InputOptions.defaults())))
        .isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() ->
            tessera.chat(
                ask("a ".repeat(200)).with(InputOptions.defaults().withMaxInputTokens(64))))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("64");
    assertThatThrownBy(() ->
            tessera.chat(
                ChatRequest.of(
                    Message.user("?", new Image.Encoded("x.png", new byte[] {1, 2, 3})))))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("x.png");
  }

  @Test
  void tooManyPicturesAreRefusedBeforeTheyAreDecoded() {
    Image undecodable = new Image.Encoded("x.png", new byte[] {1, 2, 3});
    Image[] images = new Image[1000];
    Arrays.fill(images, undecodable);

    assertThatThrownBy(() -> tessera.chat(ask(Message.user("?", images))))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("1000 pictures");
  }

  @Test
  void aDeviceThatDoesNotExistIsNamed() {
    assertThatThrownBy(() ->
            Tessera.load(
                ReferenceVectors.path("checkpoint"), LoadOptions.defaults().withDevice("tpu:3")))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("tpu:3");
  }

  private static Message square(int red, int green, int blue) {
    int side = 100;
    byte[] rgb = new byte[side * side * 3];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) red;
      rgb[i + 1] = (byte) green;
      rgb[i + 2] = (byte) blue;
    }
    return Message.user("What colour is it?", new Image.Rgb("square", side, side, rgb));
  }

  private static ChatRequest ask(Message message) {
    return ChatRequest.of(message).with(GREEDY);
  }
}
