package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.errors.UnauthorizedException;
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
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Clients that others wrote. */
class ClientsTest {
  private static final String KEY = "a-secret-key-1";

  private static TestServer server;

  @BeforeAll
  static void start() {
    server =
        TestServer.start(TestServer.options(Optional.of(ApiKey.of(KEY)), ServerLimits.defaults()));
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void openAiAsksAboutAPictureAndStreamsTheSame() {
    OpenAIClient client = openAi(KEY);
    ChatCompletionCreateParams question =
        params("tiny")
            .addUserMessageOfArrayOfContentParts(
                List.of(
                    ChatCompletionContentPart.ofImageUrl(
                        ChatCompletionContentPartImage.builder()
                            .imageUrl(
                                ChatCompletionContentPartImage.ImageUrl.builder()
                                    .url(TestServer.dataUrl("small.png"))
                                    .build())
                            .build()),
                    ChatCompletionContentPart.ofText(
                        ChatCompletionContentPartText.builder().text("What is this?").build())))
            .build();

    ChatCompletion whole = client.chat().completions().create(question);
    StringBuilder streamed = new StringBuilder();
    long[] usage = new long[1];
    try (var stream = client.chat().completions().createStreaming(question)) {
      stream.stream()
          .forEach(chunk -> {
            chunk.choices().forEach(c -> c.delta().content().ifPresent(streamed::append));
            chunk.usage().ifPresent(u -> usage[0] = u.totalTokens());
          });
    }

    assertThat(streamed.toString()).isEqualTo(whole.choices().getFirst().message().content().get());
    assertThat(usage[0]).isEqualTo(whole.usage().get().totalTokens());
  }

  @Test
  void openAiTellsErrorsApart() {
    assertThatThrownBy(() -> ask(openAi("another-key"), "tiny"))
        .isInstanceOf(UnauthorizedException.class);
    assertThatThrownBy(() -> ask(openAi(KEY), "gpt-4")).isInstanceOf(NotFoundException.class);
    assertThatThrownBy(() ->
            openAi(KEY)
                .chat()
                .completions()
                .create(params("tiny").addUserMessage("x").n(1000).build()))
        .isInstanceOf(BadRequestException.class);
    assertThat(openAi(KEY).models().list().data().getFirst().id()).isEqualTo("tiny");
  }

  @Test
  void openAiGetsWhatItsSchemaSays() {
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
  void openAiCallsAToolAndSendsItsResult() {
    OpenAIClient client = openAi(KEY);
    ChatCompletionCreateParams.Builder conversation =
        params("tiny")
            .addUserMessage("Rain?")
            .maxCompletionTokens(200)
            .addTool(
                ChatCompletionFunctionTool.builder()
                    .function(
                        FunctionDefinition.builder()
                            .name("rain")
                            .parameters(
                                FunctionParameters.builder()
                                    .putAdditionalProperty("type", JsonValue.from("object"))
                                    .putAdditionalProperty(
                                        "properties",
                                        JsonValue.from(
                                            Map.of("city", Map.of("enum", List.of("Bonn")))))
                                    .putAdditionalProperty(
                                        "required", JsonValue.from(List.of("city")))
                                    .putAdditionalProperty(
                                        "additionalProperties", JsonValue.from(false))
                                    .build())
                            .build())
                    .build());
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
  void openAiAsksForAResponseAndStreamsTheSame() {
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
  void openAiCancelsAStream() throws Exception {
    ChatCompletionCreateParams endless =
        params("tiny").addUserMessage("Go on.").maxCompletionTokens(100_000).build();
    try (var stream = openAi(KEY).chat().completions().createStreaming(endless)) {
      assertThat(stream.stream().findFirst()).isPresent();
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (server.tessera().stats().running() > 0) {
      assertThat(System.nanoTime()).isLessThan(end);
      Thread.sleep(10);
    }
  }

  @Test
  void langChainChatsAndStreams() throws Exception {
    UserMessage question =
        UserMessage.from(
            TextContent.from("What is this?"),
            ImageContent.from(TestServer.dataUrl("small.png").split(",", 2)[1], "image/png"));
    ChatResponse whole =
        OpenAiChatModel.builder()
            .baseUrl(server.url("/v1"))
            .apiKey(KEY)
            .modelName("tiny")
            .temperature(0.0)
            .maxTokens(8)
            .build()
            .chat(question);
    CompletableFuture<ChatResponse> streamed = new CompletableFuture<>();
    OpenAiStreamingChatModel.builder()
        .baseUrl(server.url("/v1"))
        .apiKey(KEY)
        .modelName("tiny")
        .temperature(0.0)
        .maxTokens(8)
        .build()
        .chat(
            List.of(question),
            new StreamingChatResponseHandler() {
              @Override
              public void onPartialResponse(String partialResponse) {}

              @Override
              public void onCompleteResponse(ChatResponse response) {
                streamed.complete(response);
              }

              @Override
              public void onError(Throwable error) {
                streamed.completeExceptionally(error);
              }
            });

    assertThat(streamed.get(30, TimeUnit.SECONDS).aiMessage().text())
        .isEqualTo(whole.aiMessage().text());
    assertThat(whole.tokenUsage().inputTokenCount()).isPositive();
  }

  private static void ask(OpenAIClient client, String model) {
    client.chat().completions().create(params(model).addUserMessage("x").build());
  }

  private static ChatCompletionCreateParams.Builder params(String model) {
    return ChatCompletionCreateParams.builder()
        .model(model)
        .temperature(0)
        .maxCompletionTokens(8)
        .streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build());
  }

  private static OpenAIClient openAi(String key) {
    return OpenAIOkHttpClient.builder().baseUrl(server.url("/v1")).apiKey(key).build();
  }
}
