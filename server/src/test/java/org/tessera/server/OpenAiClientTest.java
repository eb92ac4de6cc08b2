package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.RateLimitException;
import com.openai.errors.UnauthorizedException;
import com.openai.errors.UnexpectedStatusCodeException;
import com.openai.helpers.ChatCompletionAccumulator;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.ResponseFormatJsonSchema;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionContentPart;
import com.openai.models.chat.completions.ChatCompletionContentPartImage;
import com.openai.models.chat.completions.ChatCompletionContentPartText;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolChoiceOption;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseInputImage;
import com.openai.models.responses.ResponseInputItem;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** OpenAI's own client for Java asks the demo model. */
class OpenAiClientTest {
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
  void aPictureIsSeenAndTheStreamSaysTheSame(String colour) {
    OpenAIClient client = openAi(KEY);
    ChatCompletionCreateParams question =
        params("tiny")
            .maxCompletionTokens(24)
            .addUserMessageOfArrayOfContentParts(
                List.of(
                    ChatCompletionContentPart.ofImageUrl(
                        ChatCompletionContentPartImage.builder()
                            .imageUrl(
                                ChatCompletionContentPartImage.ImageUrl.builder()
                                    .url(TestServer.demoUrl(colour + ".png"))
                                    .build())
                            .build()),
                    ChatCompletionContentPart.ofText(
                        ChatCompletionContentPartText.builder()
                            .text("What colour is the circle?")
                            .build())))
            .build();

    ChatCompletion whole = client.chat().completions().create(question);
    StringBuilder streamed = new StringBuilder();
    long[] usage = new long[2];
    try (var stream = client.chat().completions().createStreaming(question)) {
      stream.stream()
          .forEach(chunk -> {
            chunk.choices().forEach(c -> c.delta().content().ifPresent(streamed::append));
            chunk
                .usage()
                .ifPresent(u -> {
                  usage[0] = u.totalTokens();
                  usage[1] = u.promptTokensDetails().get().cachedTokens().get();
                });
          });
    }

    assertThat(whole.choices().getFirst().message().content().get().strip())
        .isEqualTo("The circle is " + colour + ".");
    assertThat(streamed.toString()).isEqualTo(whole.choices().getFirst().message().content().get());
    assertThat(usage[0]).isEqualTo(whole.usage().get().totalTokens());
    assertThat(usage[1]).isPositive();
  }

  @Test
  void errorsAreToldApart() {
    assertThatThrownBy(() -> ask(openAi("another-key"), params("tiny")))
        .isInstanceOf(UnauthorizedException.class);
    assertThatThrownBy(() -> ask(openAi(KEY), params("gpt-4")))
        .isInstanceOf(NotFoundException.class);
    assertThatThrownBy(() -> ask(openAi(KEY), params("tiny").n(1000)))
        .isInstanceOfSatisfying(
            BadRequestException.class, e -> assertThat(e.code()).hasValue("invalid_value"));
    assertThatThrownBy(() -> ask(openAi(KEY), params("tiny").addTool(tool("x".repeat(70_000)))))
        .isInstanceOfSatisfying(
            UnexpectedStatusCodeException.class, e -> assertThat(e.statusCode()).isEqualTo(413));
    try (AutoCloseable full = server.fill()) {
      assertThatThrownBy(() -> ask(openAi(KEY), params("tiny")))
          .isInstanceOf(RateLimitException.class);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
    assertThat(openAi(KEY).models().list().data().getFirst().id()).isEqualTo("tiny");
  }

  @Test
  void anAnswerIsWhatItsSchemaSays() {
    ChatCompletionCreateParams question =
        params("tiny")
            .addUserMessage("Which colour?")
            .maxCompletionTokens(100)
            .responseFormat(
                ResponseFormatJsonSchema.builder()
                    .jsonSchema(
                        ResponseFormatJsonSchema.JsonSchema.builder()
                            .name("colour")
                            .schema(
                                ResponseFormatJsonSchema.JsonSchema.Schema.builder()
                                    .putAdditionalProperty("enum", JsonValue.from(List.of("red")))
                                    .build())
                            .build())
                    .build())
            .build();

    ChatCompletion answer = openAi(KEY).chat().completions().create(question);

    assertThat(answer.choices().getFirst().message().content().get()).isEqualTo("\"red\"");
  }

  @Test
  void aToolIsCalledAndItsResultSent() {
    OpenAIClient client = openAi(KEY);
    ChatCompletionCreateParams.Builder conversation =
        params("tiny")
            .addUserMessage("Rain?")
            .maxCompletionTokens(200)
            .parallelToolCalls(false)
            .addTool(tool("Whether it rains."));
    ChatCompletionCreateParams question =
        conversation.toolChoice(ChatCompletionToolChoiceOption.Auto.REQUIRED).build();
    ChatCompletionAccumulator streamed = ChatCompletionAccumulator.create();
    try (var stream = client.chat().completions().createStreaming(question)) {
      stream.stream().forEach(streamed::accumulate);
    }
    ChatCompletion.Choice choice =
        client.chat().completions().create(question).choices().getFirst();
    var call = choice.message().toolCalls().get().getFirst().asFunction();

    assertThat(choice.finishReason()).isEqualTo(ChatCompletion.Choice.FinishReason.TOOL_CALLS);
    assertThat(call.function().name()).isEqualTo("rain");
    assertThat(call.function().arguments().replace(" ", "")).isEqualTo("{\"city\":\"Bonn\"}");
    ChatCompletion.Choice whole = streamed.chatCompletion().choices().getFirst();
    assertThat(whole.message().toolCalls().get().getFirst().asFunction().function())
        .isEqualTo(call.function());

    ChatCompletion after =
        client
            .chat()
            .completions()
            .create(
                conversation
                    .addMessage(choice.message())
                    .addMessage(
                        ChatCompletionToolMessageParam.builder()
                            .toolCallId(call.id())
                            .content("no")
                            .build())
                    .toolChoice(ChatCompletionToolChoiceOption.Auto.NONE)
                    .maxCompletionTokens(4)
                    .build());
    assertThat(after.choices().getFirst().message().content()).isPresent();
  }

  @Test
  void aResponseIsStreamedAlike() {
    OpenAIClient client = openAi(KEY);
    ResponseCreateParams question =
        ResponseCreateParams.builder()
            .model("tiny")
            .temperature(0)
            .maxOutputTokens(8)
            .inputOfResponse(
                List.of(
                    ResponseInputItem.ofMessage(
                        ResponseInputItem.Message.builder()
                            .role(ResponseInputItem.Message.Role.USER)
                            .addInputTextContent("What is this?")
                            .addContent(
                                ResponseInputImage.builder()
                                    .detail(ResponseInputImage.Detail.AUTO)
                                    .imageUrl(TestServer.dataUrl("small.png"))
                                    .build())
                            .build())))
            .build();

    Response whole = client.responses().create(question);
    ResponseAccumulator streamed = ResponseAccumulator.create();
    try (var stream = client.responses().createStreaming(question)) {
      stream.stream().forEach(streamed::accumulate);
    }

    String text = text(whole);
    assertThat(text).isNotEmpty();
    assertThat(text(streamed.response())).isEqualTo(text);
    assertThat(whole.usage().get().inputTokens()).isPositive();
    assertThat(whole.validate().status()).isPresent();
  }

  private static String text(Response response) {
    return response.output().getFirst().asMessage().content().getFirst().asOutputText().text();
  }

  @Test
  void aCancelledStreamEnds() throws Exception {
    ChatCompletionCreateParams endless =
        params("tiny")
            .addUserMessage("Go on.")
            .maxCompletionTokens(8000)
            .putAdditionalBodyProperty("min_tokens", JsonValue.from(8000))
            .build();
    try (var stream = openAi(KEY).chat().completions().createStreaming(endless)) {
      assertThat(stream.stream().findFirst()).isPresent();
    }
    server.awaitIdle();
  }

  private static ChatCompletionFunctionTool tool(String description) {
    return ChatCompletionFunctionTool.builder()
        .function(
            FunctionDefinition.builder()
                .name("rain")
                .description(description)
                .parameters(
                    FunctionParameters.builder()
                        .putAdditionalProperty("type", JsonValue.from("object"))
                        .putAdditionalProperty(
                            "properties",
                            JsonValue.from(Map.of("city", Map.of("enum", List.of("Bonn")))))
                        .putAdditionalProperty("required", JsonValue.from(List.of("city")))
                        .putAdditionalProperty("additionalProperties", JsonValue.from(false))
                        .build())
                .build())
        .build();
  }

  private static void ask(OpenAIClient client, ChatCompletionCreateParams.Builder params) {
    client.chat().completions().create(params.addUserMessage("x").build());
  }

  private static ChatCompletionCreateParams.Builder params(String model) {
    return ChatCompletionCreateParams.builder()
        .model(model)
        .temperature(0)
        .maxCompletionTokens(8)
        .streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
  }

  private static OpenAIClient openAi(String key) {
    return OpenAIOkHttpClient.builder()
        .baseUrl(server.url("/v1"))
        .apiKey(key)
        .maxRetries(0)
        .build();
  }
}
