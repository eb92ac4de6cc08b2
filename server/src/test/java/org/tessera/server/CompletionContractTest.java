package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.json;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Plain completions and the tokenizer. */
class CompletionContractTest {
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
  void textAndItsTokensAreContinuedAlike() {
    JsonNode tokens = json(server.post("/tokenize", "{\"prompt\":\"Once upon a time\"}").body());
    String text =
        server
            .post(
                "/v1/completions",
                "{\"prompt\":\"Once upon a time\",\"temperature\":0,\"max_tokens\":6}")
            .body();
    String ids =
        server
            .post(
                "/v1/completions",
                "{\"prompt\":%s,\"temperature\":0,\"max_tokens\":6}"
                    .formatted(tokens.get("tokens")))
            .body();

    assertThat(json(text).at("/object").asString()).isEqualTo("text_completion");
    assertThat(json(text).at("/usage/prompt_tokens").asInt())
        .isEqualTo(tokens.get("count").asInt());
    assertThat(json(ids).at("/choices")).isEqualTo(json(text).at("/choices"));
    assertThat(
            json(server
                    .post("/detokenize", "{\"tokens\":%s}".formatted(tokens.get("tokens")))
                    .body())
                .at("/prompt")
                .asString())
        .isEqualTo("Once upon a time");
  }

  @Test
  void aStreamEndsWithItsReasonAndDone() {
    String body =
        server
            .post(
                "/v1/completions",
                "{\"prompt\":\"Once\",\"temperature\":0,\"max_tokens\":3,\"stream\":true}")
            .body();

    assertThat(body).startsWith("data: {\"id\":\"cmpl-").endsWith("\n\ndata: [DONE]\n\n");
    assertThat(body).contains("\"finish_reason\":null").doesNotContain("error");
  }

  @Test
  void badPromptsAre400() {
    for (String prompt : new String[] {"\"\"", "[]", "[-1]", "[99999999]", "[1.5]", "null", "{}"}) {
      assertError(server.post("/v1/completions", "{\"prompt\":" + prompt + "}"), 400);
    }
    assertError(server.post("/v1/completions", "{\"prompt\":\"x\",\"echo\":true}"), 400);
    assertError(server.post("/detokenize", "{\"tokens\":[-5]}"), 400);
  }

  @Test
  void aConversationIsTokenizedAsItIsPrompted() {
    String messages = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";
    JsonNode tokens = json(server.post("/tokenize", messages + "}").body());
    JsonNode answer =
        json(server.post("/v1/chat/completions", messages + ",\"max_tokens\":1}").body());

    assertThat(tokens.get("count").asInt()).isEqualTo(answer.at("/usage/prompt_tokens").asInt());
  }
}
