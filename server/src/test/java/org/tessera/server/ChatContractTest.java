package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.TestServer.chat;
import static org.tessera.server.TestServer.dataUrl;
import static org.tessera.server.TestServer.json;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.ChatRequest;
import org.tessera.api.ChatResponse;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Message;
import tools.jackson.databind.JsonNode;

/** Chat completions to the letter of what clients rely on. */
class ChatContractTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final String QUESTION = "\"What is this?\"";

  private static TestServer server;

  @BeforeAll
  static void start() {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void healthReadyModelsAndVersionAnswer() {
    assertThat(server.get("/health").body()).isEqualTo("{\"status\":\"ok\"}");
    assertThat(server.get("/ready").statusCode()).isEqualTo(200);
    JsonNode models = json(server.get("/v1/models").body());
    assertThat(models.at("/object").asString()).isEqualTo("list");
    assertThat(models.at("/data/0/id").asString()).isEqualTo("tiny");
    assertThat(json(server.get("/v1/models/tiny").body()).at("/object").asString())
        .isEqualTo("model");
    assertThat(json(server.get("/version").body()).has("version")).isTrue();
  }

  @Test
  void anAnswerIsWhatTheEngineSays() {
    ChatResponse expected =
        server
            .tessera()
            .chat(
                ChatRequest.of(Message.user("What is this?"))
                    .with(GenerationOptions.greedy().withMaxNewTokens(8)));

    HttpResponse<String> response = server.post(CHAT, chat(QUESTION, ""));

    JsonNode body = json(response.body());
    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(body.at("/object").asString()).isEqualTo("chat.completion");
    assertThat(body.at("/id").asString()).startsWith("chatcmpl-");
    assertThat(body.at("/created").isIntegralNumber()).isTrue();
    assertThat(body.at("/choices/0/message/role").asString()).isEqualTo("assistant");
    assertThat(body.at("/choices/0/message/content").asString().strip()).isEqualTo(expected.text());
    assertThat(body.at("/choices/0/message/refusal").isNull()).isTrue();
    assertThat(body.at("/choices/0/logprobs").isNull()).isTrue();
    assertThat(body.at("/choices/0/finish_reason").asString())
        .isEqualTo(expected.finishReason().lowerCase());
    assertThat(body.at("/usage/prompt_tokens").asInt()).isEqualTo(expected.usage().promptTokens());
    assertThat(body.at("/usage/total_tokens").asInt())
        .isEqualTo(expected.usage().promptTokens() + expected.usage().completionTokens());
    assertThat(body.has("error")).isFalse();
  }

  @Test
  void aStreamKeepsToTheLetter() {
    String fields = ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
    HttpResponse<String> response = server.post(CHAT, chat(QUESTION, fields));
    String whole =
        json(server.post(CHAT, chat(QUESTION, "")).body())
            .at("/choices/0/message/content")
            .asString();

    assertThat(response.headers().firstValue("content-type"))
        .hasValueSatisfying(type -> assertThat(type).startsWith("text/event-stream"));
    assertThat(response.body()).endsWith("}\n\ndata: [DONE]\n\n");
    List<JsonNode> chunks = chunks(response.body());
    JsonNode first = chunks.getFirst();
    assertThat(first.at("/choices/0/delta").toString())
        .isEqualTo("{\"role\":\"assistant\",\"content\":\"\"}");
    StringBuilder text = new StringBuilder();
    for (JsonNode chunk : chunks) {
      assertThat(chunk.at("/object").asString()).isEqualTo("chat.completion.chunk");
      assertThat(chunk.at("/id")).isEqualTo(first.at("/id"));
      assertThat(chunk.at("/created")).isEqualTo(first.at("/created"));
      assertThat(chunk.has("error")).isFalse();
      assertThat(chunk.has("usage")).isTrue();
      text.append(chunk.at("/choices/0/delta/content").asString(""));
    }
    assertThat(text.toString()).isEqualTo(whole);
    for (JsonNode chunk : chunks.subList(0, chunks.size() - 2)) {
      assertThat(chunk.at("/choices/0").has("finish_reason")).isTrue();
      assertThat(chunk.at("/choices/0/finish_reason").isNull()).isTrue();
      assertThat(chunk.get("usage").isNull()).isTrue();
    }
    JsonNode finish = chunks.get(chunks.size() - 2);
    assertThat(finish.at("/choices/0/delta").isEmpty()).isTrue();
    assertThat(finish.at("/choices/0/finish_reason").asString()).isIn("stop", "length");
    JsonNode last = chunks.getLast();
    assertThat(last.get("choices").isEmpty()).isTrue();
    assertThat(last.at("/usage/completion_tokens").asInt()).isPositive();
  }

  @Test
  void withoutIncludeUsageChunksHaveNoUsage() {
    List<JsonNode> chunks = chunks(server.post(CHAT, chat(QUESTION, ",\"stream\":true")).body());

    assertThat(chunks).allSatisfy(chunk -> assertThat(chunk.has("usage")).isFalse());
    assertThat(chunks.getLast().at("/choices/0/finish_reason").isNull()).isFalse();
  }

  @Test
  void aPictureIsSeenAndASecondTurnFindsItInTheCache() {
    String content =
        """
        [{"type":"image_url","image_url":{"url":"%s","detail":"auto"}},
         {"type":"text","text":"Which one, and what else can be said of it?"}]\
        """
            .formatted(dataUrl("small.png"));
    JsonNode first = json(server.post(CHAT, chat(content, "")).body());
    JsonNode second = json(server.post(CHAT, chat(content, "")).body());

    int imageTokens = first.at("/usage/prompt_tokens_details/image_tokens").asInt();
    assertThat(imageTokens).isPositive();
    assertThat(second.at("/usage/prompt_tokens_details/cached_tokens").asInt())
        .isGreaterThanOrEqualTo(imageTokens);
    assertThat(second.at("/choices/0/message")).isEqualTo(first.at("/choices/0/message"));
  }

  @Test
  void aPlainStringIsAPictureToo() {
    String content =
        "[{\"type\":\"image_url\",\"image_url\":\"%s\"},{\"type\":\"text\",\"text\":\"?\"}]"
            .formatted(dataUrl("small.png"));

    assertThat(server.post(CHAT, chat(content, "")).statusCode()).isEqualTo(200);
  }

  @Test
  void severalAnswersOfOneSeedAreThoseOfTheSeedsThatFollow() {
    String sampled =
        chat(QUESTION, ",\"n\":3,\"seed\":5").replace("\"temperature\":0", "\"temperature\":1.5");
    JsonNode choices = json(server.post(CHAT, sampled).body()).get("choices");
    JsonNode alone =
        json(server.post(CHAT, sampled.replace("\"n\":3,\"seed\":5", "\"seed\":7")).body());

    assertThat(choices).hasSize(3);
    assertThat(choices.at("/2/index").asInt()).isEqualTo(2);
    assertThat(choices.at("/2/message")).isEqualTo(alone.at("/choices/0/message"));
  }

  @Test
  void penaltiesChangeWhatIsRepeated() {
    String longer = chat(QUESTION, "").replace("\"max_tokens\":8", "\"max_tokens\":64");
    String plain = json(server.post(CHAT, longer).body()).at("/choices/0/message").toString();
    for (String name : List.of("presence_penalty", "frequency_penalty")) {
      String body = longer.replaceFirst("\\{", "{\"" + name + "\":2,");

      assertThat(json(server.post(CHAT, body).body()).at("/choices/0/message").toString())
          .isNotEqualTo(plain);
    }
  }

  @Test
  void logprobsHaveBytesAndAlternatives() {
    JsonNode body =
        json(server.post(CHAT, chat(QUESTION, ",\"logprobs\":true,\"top_logprobs\":2")).body());

    JsonNode token = body.at("/choices/0/logprobs/content/0");
    assertThat(token.at("/logprob").doubleValue()).isNegative();
    assertThat(token.get("bytes").isArray()).isTrue();
    assertThat(token.get("top_logprobs")).hasSize(2);
    assertThat(token.at("/top_logprobs/0/token")).isEqualTo(token.get("token"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ",\"temperature\":-1",
        ",\"top_p\":0",
        ",\"top_p\":1e-60",
        ",\"n\":0",
        ",\"n\":16384",
        ",\"n\":1.5",
        ",\"n\":1e400",
        ",\"max_tokens\":0",
        ",\"max_completion_tokens\":-5",
        ",\"stop\":[\"\"]",
        ",\"stop\":[1]",
        ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]",
        ",\"seed\":99999999999999999999",
        ",\"seed\":\"x\"",
        ",\"top_logprobs\":5",
        ",\"logprobs\":true,\"top_logprobs\":21",
        ",\"stream\":\"yes\"",
        ",\"response_format\":{\"type\":\"xml\"}",
        ",\"response_format\":{\"type\":\"json_schema\"}",
        ",\"response_format\":{\"type\":\"json_object\"},\"guided_regex\":\"a\"",
        ",\"tools\":[{\"type\":\"search\"}]",
        ",\"functions\":[]",
        ",\"presence_penalty\":2.5",
        ",\"frequency_penalty\":-3",
        ",\"logit_bias\":{\"1\":5}",
        ",\"max_slice_nums\":100000"
      })
  void badFieldsAre400AndNeverRetried(String fields) {
    String body = chat(QUESTION, fields);
    if (fields.contains("temperature")) {
      body = body.replace("\"temperature\":0,", "");
    }
    if (fields.contains("max_tokens")) {
      body = body.replace("\"max_tokens\":8,", "");
    }

    assertError(server.post(CHAT, body), 400);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "null",
        "5",
        "[]",
        "[{\"type\":\"image_url\"}]",
        "[{\"type\":\"image_url\",\"image_url\":{}}]",
        "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,@@@\"}}]",
        "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,aGVsbG8=\"}}]",
        "[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}]",
        "[{\"type\":\"sound\"}]",
        "[\"text\"]"
      })
  void badContentIs400(String content) {
    assertError(server.post(CHAT, chat(content, "")), 400);
  }

  @Test
  void otherModelsPathsAndMethodsAreRefused() {
    assertError(server.post(CHAT, chat(QUESTION, "").replace("tiny", "gpt-4")), 404);
    assertError(server.get("/nothing"), 404);
    assertError(server.get(CHAT), 405);
    assertError(server.post(CHAT, "{"), 400);
    assertError(server.post(CHAT, "[]"), 400);
    assertError(server.post(CHAT, "{\"messages\":[],\"messages\":[]}"), 400);
    assertError(server.post(CHAT, "[".repeat(5000)), 400);
  }

  @Test
  void unknownFieldsAreIgnoredAndRequestIdsEchoed() {
    HttpResponse<String> response =
        server.post(
            CHAT,
            chat(
                QUESTION,
                ",\"store\":true,\"metadata\":{},\"service_tier\":\"auto\",\"user\":\"u\""),
            "x-request-id",
            "abc-1");

    assertThat(response.statusCode()).isEqualTo(200);
    assertThat(response.headers().firstValue("x-request-id")).hasValue("abc-1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ",\"stream\":true"})
  void aConnectionThatIsToBeClosedIs(String stream) throws IOException {
    String body = chat(QUESTION, stream);
    String answer =
        server.raw(
            "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                .formatted(CHAT, body.length(), body));

    assertThat(answer).contains("200 OK", "Connection: close", "assistant");
  }

  @Test
  void metricsCountUnderBothNames() {
    server.post(CHAT, chat(QUESTION, ""));

    String picture =
        "[{\"type\":\"image_url\",\"image_url\":\"%s\"}]".formatted(dataUrl("small.png"));
    server.post(CHAT, chat(picture, ""));
    String text = server.get("/metrics").body();
    for (String name :
        List.of(
            "num_requests_running{engine=\"0\",model_name=\"tiny\"}",
            "num_requests_waiting",
            "kv_cache_usage_perc",
            "prefix_cache_queries_total",
            "prefix_cache_hits_total",
            "prompt_tokens_total",
            "generation_tokens_total",
            "time_to_first_token_seconds_bucket",
            "inter_token_latency_seconds_bucket",
            "request_time_per_output_token_seconds_count",
            "e2e_request_latency_seconds_bucket",
            "request_queue_time_seconds_count",
            "request_inference_time_seconds_count",
            "request_prefill_time_seconds_count",
            "request_decode_time_seconds_count",
            "request_prompt_tokens_bucket",
            "request_generation_tokens_bucket",
            "request_params_n_bucket",
            "request_params_max_tokens_bucket",
            "request_success_total{engine=\"0\",finished_reason=\"length\",model_name=\"tiny\"}",
            "num_preemptions_total",
            "cache_config_info{block_size=\"16\"",
            "image_decode_seconds_count",
            "image_vision_seconds_count",
            "image_slices_total",
            "image_slice_cache_hits_total")) {
      assertThat(text).contains("\ntessera_" + name, "\nvllm:" + name);
    }
  }

  static List<JsonNode> chunks(String body) {
    List<JsonNode> chunks = new ArrayList<>();
    for (String event : body.split("\n\n")) {
      if (!event.equals("data: [DONE]")) {
        assertThat(event).startsWith("data: ").doesNotContain("\n");
        chunks.add(json(event.substring("data: ".length())));
      }
    }
    return chunks;
  }

  static void assertError(HttpResponse<String> response, int status) {
    assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
    JsonNode error = json(response.body()).get("error");
    assertThat(error.get("message").isString()).isTrue();
    assertThat(error.get("type").isString()).isTrue();
    assertThat(error.has("param")).isTrue();
    assertThat(error.get("code").isString()).isTrue();
    assertThat(response.headers().firstValue("x-should-retry"))
        .hasValue(String.valueOf(status == 429 || status == 503));
    assertThat(response.body()).doesNotContain("Exception").doesNotContain("/org/");
  }
}
