package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.OpenAIServiceException;
import com.openai.errors.RateLimitException;
import com.openai.errors.UnauthorizedException;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage.ToolResponse;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatModel.ResponseFormat;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.core.io.ByteArrayResource;
import org.springframework.util.MimeTypeUtils;

/** Spring AI's OpenAI module asks the demo model. */
class SpringAiClientTest {
  private static final String KEY = "a-secret-key-1";

  private static TestServer server;

  @BeforeAll
  static void start() {
    server = TestServer.demo(Optional.of(ApiKey.of(KEY)));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"red", "blue"})
  void aPictureIsSeenAndTheStreamSaysTheSame(String colour) throws IOException {
    byte[] picture = Files.readAllBytes(TestServer.DEMO.resolve("pictures/" + colour + ".png"));
    Prompt question =
        new Prompt(
            UserMessage.builder()
                .text("What colour is the circle?")
                .media(new Media(MimeTypeUtils.IMAGE_PNG, new ByteArrayResource(picture)))
                .build());
    // Spring puts the text before the picture. The demo model was taught the other order: it sees
    // the colour nevertheless, but answers in this form only where it must.
    List<String> sentences = List.of("The circle is red.", "The circle is blue.");
    OpenAiChatModel model =
        model(options(KEY, "tiny").streamUsage(true).extraBody(Map.of("guided_choice", sentences)));

    ChatResponse whole = model.call(question);
    List<ChatResponse> streamed = model.stream(question).collectList().block();

    assertThat(text(whole)).isEqualTo("The circle is " + colour + ".");
    StringBuilder pieces = new StringBuilder();
    streamed.forEach(response -> pieces.append(text(response)));
    assertThat(pieces.toString()).isEqualTo(text(whole));
    assertThat(whole.getMetadata().getUsage().getPromptTokens()).isPositive();
    assertThat(streamed.getLast().getMetadata().getUsage().getTotalTokens())
        .isEqualTo(whole.getMetadata().getUsage().getTotalTokens());
  }

  @Test
  void aToolIsCalledAndItsResultSent() {
    UserMessage question = new UserMessage("Rain?");
    OpenAiChatModel model =
        model(
            options(KEY, "tiny")
                .toolCallbacks(new Rain("Whether it rains."))
                .toolChoice("required")
                .parallelToolCalls(false)
                .maxCompletionTokens(200));
    AssistantMessage calling = model.call(new Prompt(question)).getResult().getOutput();

    AssistantMessage.ToolCall call = calling.getToolCalls().getFirst();
    assertThat(call.name()).isEqualTo("rain");
    assertThat(call.arguments().replace(" ", "")).isEqualTo("{\"city\":\"Bonn\"}");
    ToolResponseMessage result =
        ToolResponseMessage.builder()
            .responses(List.of(new ToolResponse(call.id(), "rain", "no")))
            .build();
    ChatResponse after =
        model(options(KEY, "tiny")).call(new Prompt(List.of(question, calling, result)));
    assertThat(text(after)).isNotNull();
  }

  @Test
  void anAnswerIsWhatItsSchemaSays() {
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormat.Type.JSON_SCHEMA)
            .jsonSchema(
                """
                {"type":"object","properties":{"colour":{"enum":["red"]}},"required":["colour"],
                 "additionalProperties":false}\
                """)
            .build();
    ChatResponse answer =
        model(options(KEY, "tiny").responseFormat(format).maxCompletionTokens(100))
            .call(new Prompt("Which colour?"));

    assertThat(text(answer).replace(" ", "")).isEqualTo("{\"colour\":\"red\"}");
  }

  @Test
  void aCancelledStreamEnds() throws Exception {
    ChatResponse first =
        model(options(KEY, "tiny").maxCompletionTokens(8000).extraBody(Map.of("min_tokens", 8000)))
            .stream(new Prompt("Go on."))
            .filter(response -> !text(response).isEmpty())
            .blockFirst(); // cancels what follows

    assertThat(first).isNotNull();
    server.awaitIdle();
  }

  @Test
  void errorsAreToldApart() throws Exception {
    assertThatThrownBy(() -> model(options("another-key", "tiny")).call("x"))
        .isInstanceOf(UnauthorizedException.class);
    assertThatThrownBy(() -> model(options(KEY, "gpt-4")).call("x"))
        .isInstanceOf(NotFoundException.class);
    assertThatThrownBy(() -> model(options(KEY, "tiny").n(1000)).call("x"))
        .isInstanceOf(BadRequestException.class);
    assertThatThrownBy(
            () -> model(options(KEY, "tiny").toolCallbacks(new Rain("x".repeat(70_000)))).call("x"))
        .isInstanceOfSatisfying(
            OpenAIServiceException.class, e -> assertThat(e.statusCode()).isEqualTo(413));
    try (AutoCloseable full = server.fill()) {
      assertThatThrownBy(() -> model(options(KEY, "tiny")).call("x"))
          .isInstanceOf(RateLimitException.class);
    }
  }

  private record Rain(String description) implements ToolCallback {
    @Override
    public ToolDefinition getToolDefinition() {
      return ToolDefinition.builder()
          .name("rain")
          .description(description)
          .inputSchema(
              """
              {"type":"object","properties":{"city":{"enum":["Bonn"]}},"required":["city"],
               "additionalProperties":false}\
              """)
          .build();
    }

    @Override
    public String call(String input) {
      throw new AssertionError("the test answers by itself");
    }
  }

  private static String text(ChatResponse response) {
    if (response.getResult() == null) {
      return "";
    }
    String text = response.getResult().getOutput().getText();
    return text == null ? "" : text;
  }

  private static OpenAiChatOptions.Builder options(String key, String name) {
    return OpenAiChatOptions.builder()
        .baseUrl(server.url("/v1"))
        .apiKey(key)
        .model(name)
        .temperature(0.0)
        .maxCompletionTokens(24)
        .maxRetries(0);
  }

  private static OpenAiChatModel model(OpenAiChatOptions.Builder options) {
    return OpenAiChatModel.builder().options(options.build()).build();
  }
}
