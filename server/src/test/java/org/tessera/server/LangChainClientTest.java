package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.AuthenticationException;
import dev.langchain4j.exception.HttpException;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** LangChain4j, which has an HTTP client and a parser of its own, asks the demo model. */
class LangChainClientTest {
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
  void aPictureIsSeenAndTheStreamSaysTheSame(String colour) throws Exception {
    ChatRequest question =
        ChatRequest.builder()
            .messages(
                UserMessage.from(
                    ImageContent.from(
                        TestServer.demoUrl(colour + ".png").split(",", 2)[1], "image/png"),
                    TextContent.from("What colour is the circle?")))
            .build();
    ChatResponse whole = model(KEY, "tiny").build().chat(question);
    CompletableFuture<ChatResponse> streamed = new CompletableFuture<>();
    StringBuilder pieces = new StringBuilder();
    streaming(24)
        .build()
        .chat(
            question,
            new Handler(streamed) {
              @Override
              public void onPartialResponse(String partialResponse) {
                pieces.append(partialResponse);
              }
            });

    assertThat(whole.aiMessage().text().strip()).isEqualTo("The circle is " + colour + ".");
    assertThat(streamed.get(30, TimeUnit.SECONDS).aiMessage().text())
        .isEqualTo(whole.aiMessage().text())
        .isEqualTo(pieces.toString());
    assertThat(streamed.get().tokenUsage().totalTokenCount())
        .isEqualTo(whole.tokenUsage().totalTokenCount());
    assertThat(whole.tokenUsage().inputTokenCount()).isPositive();
  }

  @Test
  void aToolIsCalledAndItsResultSent() {
    OpenAiChatModel model = model(KEY, "tiny").maxCompletionTokens(200).build();
    UserMessage question = UserMessage.from("Rain?");
    ChatRequest.Builder request =
        ChatRequest.builder().toolSpecifications(rain("Whether it rains."));
    AiMessage calling =
        model.chat(request.messages(question).toolChoice(ToolChoice.REQUIRED).build()).aiMessage();

    ToolExecutionRequest call = calling.toolExecutionRequests().getFirst();
    assertThat(call.name()).isEqualTo("rain");
    assertThat(call.arguments().replace(" ", "")).isEqualTo("{\"city\":\"Bonn\"}");
    AiMessage after =
        model
            .chat(
                request
                    .messages(question, calling, ToolExecutionResultMessage.from(call, "no"))
                    .toolChoice(ToolChoice.NONE)
                    .build())
            .aiMessage();
    assertThat(after.hasToolExecutionRequests()).isFalse();
    assertThat(after.text()).isNotNull();
  }

  @Test
  void anAnswerIsWhatItsSchemaSays() {
    ResponseFormat format =
        ResponseFormat.builder()
            .type(ResponseFormatType.JSON)
            .jsonSchema(
                JsonSchema.builder()
                    .name("colour")
                    .rootElement(
                        JsonObjectSchema.builder()
                            .addEnumProperty("colour", java.util.List.of("red"))
                            .required("colour")
                            .additionalProperties(false)
                            .build())
                    .build())
            .build();
    ChatResponse answer =
        model(KEY, "tiny")
            .maxCompletionTokens(100)
            .build()
            .chat(
                ChatRequest.builder()
                    .messages(UserMessage.from("Which colour?"))
                    .responseFormat(format)
                    .build());

    assertThat(answer.aiMessage().text().replace(" ", "")).isEqualTo("{\"colour\":\"red\"}");
  }

  @Test
  void aCancelledStreamEnds() throws Exception {
    CompletableFuture<Void> cancelled = new CompletableFuture<>();
    streaming(8000)
        .customParameters(Map.of("min_tokens", 8000))
        .build()
        .chat(
            ChatRequest.builder().messages(UserMessage.from("Go on.")).build(),
            new Handler(new CompletableFuture<>()) {
              @Override
              public void onPartialResponse(
                  PartialResponse partialResponse, PartialResponseContext context) {
                context.streamingHandle().cancel();
                cancelled.complete(null);
              }
            });

    cancelled.get(30, TimeUnit.SECONDS);
    server.awaitIdle();
  }

  @Test
  void errorsAreToldApart() throws Exception {
    assertThatThrownBy(() -> model("another-key", "tiny").build().chat("x"))
        .isInstanceOf(AuthenticationException.class);
    assertThatThrownBy(() -> model(KEY, "gpt-4").build().chat("x"))
        .isInstanceOf(ModelNotFoundException.class);
    assertThatThrownBy(() -> model(KEY, "tiny").temperature(-3.0).build().chat("x"))
        .isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() ->
            model(KEY, "tiny")
                .build()
                .chat(
                    ChatRequest.builder()
                        .messages(UserMessage.from("x"))
                        .toolSpecifications(rain("x".repeat(70_000)))
                        .build()))
        .rootCause()
        .isInstanceOfSatisfying(
            HttpException.class, e -> assertThat(e.statusCode()).isEqualTo(413));
    try (AutoCloseable full = server.fill()) {
      assertThatThrownBy(() -> model(KEY, "tiny").build().chat("x"))
          .isInstanceOf(RateLimitException.class);
    }
  }

  private static ToolSpecification rain(String description) {
    return ToolSpecification.builder()
        .name("rain")
        .description(description)
        .parameters(
            JsonObjectSchema.builder()
                .addEnumProperty("city", java.util.List.of("Bonn"))
                .required("city")
                .additionalProperties(false)
                .build())
        .build();
  }

  private static OpenAiChatModel.OpenAiChatModelBuilder model(String key, String name) {
    return OpenAiChatModel.builder()
        .baseUrl(server.url("/v1"))
        .apiKey(key)
        .modelName(name)
        .temperature(0.0)
        .maxCompletionTokens(24)
        .maxRetries(0);
  }

  private static OpenAiStreamingChatModel.OpenAiStreamingChatModelBuilder streaming(int maxTokens) {
    return OpenAiStreamingChatModel.builder()
        .baseUrl(server.url("/v1"))
        .apiKey(KEY)
        .modelName("tiny")
        .temperature(0.0)
        .maxCompletionTokens(maxTokens);
  }

  private static class Handler implements StreamingChatResponseHandler {
    private final CompletableFuture<ChatResponse> response;

    Handler(CompletableFuture<ChatResponse> response) {
      this.response = response;
    }

    @Override
    public void onCompleteResponse(ChatResponse complete) {
      response.complete(complete);
    }

    @Override
    public void onError(Throwable error) {
      response.completeExceptionally(error);
    }
  }
}
