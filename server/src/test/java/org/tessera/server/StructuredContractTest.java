package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.ChatContractTest.chunks;
import static org.tessera.server.TestServer.chat;
import static org.tessera.server.TestServer.json;

import java.net.http.HttpResponse;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Response formats and tool calls, whatever the model would say by itself. */
class StructuredContractTest {
  private static final String CHAT = "/v1/chat/completions";
  private static final String SCHEMA =
      """
      {"type":"object","properties":{"colour":{"enum":["red","blue"]},"count":{"type":"integer",
       "minimum":0,"maximum":9}},"required":["colour","count"],"additionalProperties":false}\
      """;
  private static final String TOOLS =
      """
      ,"tools":[{"type":"function","function":{"name":"paint","description":"Paints.","parameters":%s}},
       {"type":"function","function":{"name":"stop","parameters":{"type":"object","properties":{},
        "additionalProperties":false}}}]\
      """
          .formatted(SCHEMA);

  private static TestServer server;

  @BeforeAll
  static void start() {
    server = TestServer.start();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":SCHEMA}}",
        ",\"guided_json\":SCHEMA",
        ",\"structured_outputs\":{\"json\":SCHEMA}"
      })
  void aSchemaIsKeptTo(String format) {
    JsonNode body = post(format.replace("SCHEMA", SCHEMA));

    assertThat(body.at("/choices/0/finish_reason").asString()).isEqualTo("stop");
    JsonNode answer = json(body.at("/choices/0/message/content").asString());
    assertThat(answer.get("colour").asString()).isIn("red", "blue");
    assertThat(answer.get("count").asInt()).isBetween(0, 9);
    assertThat(answer).hasSize(2);
  }

  @Test
  void aJsonObjectStartsAsOne() {
    String content =
        post(",\"response_format\":{\"type\":\"json_object\"}")
            .at("/choices/0/message/content")
            .asString();

    assertThat(content.strip()).startsWith("{");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '~',
      value = {
        ",\"guided_regex\":\"[0-9]{3}-x\"~[0-9]{3}-x",
        ",\"regex\":\"(ab){2,3}\"~(ab){2,3}",
        ",\"guided_choice\":[\"yes\",\"no\"]~yes|no",
        ",\"choice\":[\"left\"]~left",
        ",\"structured_outputs\":{\"regex\":\"[A-C]\"}~[A-C]"
      })
  void expressionsAndChoicesAreKeptTo(String format, String expected) {
    String content = post(format).at("/choices/0/message/content").asString();

    assertThat(content).matches(expected);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        ",\"guided_regex\":\"(\"",
        ",\"guided_regex\":\"(a)\\\\1\"",
        ",\"guided_choice\":[]",
        ",\"guided_json\":\"{\"",
        ",\"guided_grammar\":\"root ::= x\"",
        ",\"guided_regex\":\"a\",\"guided_choice\":[\"b\"]",
        ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"nothing\"}}}",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\"}},{\"type\":\"function\",\"function\":{\"name\":\"a\"}}]",
        ",\"tool_choice\":\"required\"",
        ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"x\"}}",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":{\"type\":\"nothing\"}}}],\"tool_choice\":\"required\"",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\"}}],\"tool_choice\":\"required\",\"guided_regex\":\"a\""
      })
  void whatCannotBeKeptToIs400WithASentence(String fields) {
    for (String stream : List.of("", ",\"stream\":true")) {
      assertError(server.post(CHAT, chat("\"?\"", fields + stream)), 400);
    }
  }

  @Test
  void aDemandedCallIsMadeAndStreamedAlike() {
    String fields =
        TOOLS + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"paint\"}}";
    JsonNode choice = post(fields).at("/choices/0");
    List<JsonNode> chunks =
        chunks(
            server.post(CHAT, longer(chat("\"Paint it.\"", fields + ",\"stream\":true"))).body());

    assertThat(choice.at("/finish_reason").asString()).isEqualTo("tool_calls");
    assertThat(choice.at("/message/content").isNull()).isTrue();
    assertThat(choice.at("/message/tool_calls")).hasSize(1);
    JsonNode call = choice.at("/message/tool_calls/0");
    assertThat(call.at("/id").asString()).startsWith("call_");
    assertThat(call.at("/type").asString()).isEqualTo("function");
    assertThat(call.at("/function/name").asString()).isEqualTo("paint");
    JsonNode arguments = json(call.at("/function/arguments").asString());
    assertThat(arguments.get("colour").asString()).isIn("red", "blue");

    List<JsonNode> deltas =
        chunks.stream()
            .map(chunk -> chunk.at("/choices/0/delta"))
            .filter(delta -> delta.has("tool_calls"))
            .toList();
    assertThat(deltas).hasSize(1);
    JsonNode streamed = deltas.getFirst().at("/tool_calls/0");
    assertThat(streamed.at("/index").asInt()).isZero();
    assertThat(streamed.at("/id").isString()).isTrue();
    assertThat(streamed.at("/function")).isEqualTo(call.at("/function"));
    assertThat(chunks.getLast().at("/choices/0/finish_reason").asString()).isEqualTo("tool_calls");
    assertThat(chunks.getLast().at("/choices/0/delta").isEmpty()).isTrue();
  }

  @Test
  void withoutParallelCallsThereIsOne() {
    JsonNode choice =
        post(TOOLS + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false")
            .at("/choices/0");

    assertThat(choice.at("/message/tool_calls")).hasSize(1);
    assertThat(choice.at("/finish_reason").asString()).isEqualTo("tool_calls");
  }

  @Test
  void withoutACallToolsChangeNothingInTheAnswersShape() {
    JsonNode choice = post(TOOLS + ",\"tool_choice\":\"none\"").at("/choices/0");

    assertThat(choice.at("/message/content").isString()).isTrue();
    assertThat(choice.at("/message").has("tool_calls")).isFalse();
    assertThat(choice.at("/finish_reason").asString()).isIn("stop", "length");
  }

  @Test
  void resultsAreHeardInTheOrderOfTheCalls() {
    String first = "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"one\"}";
    String second =
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"two\"}]}";

    String inOrder = prompt(first + "," + second);
    assertThat(prompt(second + "," + first)).isEqualTo(inOrder);
    assertThat(inOrder)
        .contains("<tool_call>", "paint", "<tool_response>\none", "two\n</tool_response>");
    assertError(tokenize(first.replace("c1", "c9")), 400);
    assertError(tokenize(first.replace("tool_call_id", "id")), 400);
  }

  /** The text that a conversation with two calls and these results becomes. */
  private static String prompt(String results) {
    String tokens = json(tokenize(results).body()).get("tokens").toString();
    return json(server.post("/detokenize", "{\"tokens\":" + tokens + "}").body())
        .get("prompt")
        .asString();
  }

  private static HttpResponse<String> tokenize(String results) {
    String call =
        "{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":\"paint\",\"arguments\":\"{}\"}}";
    return server.post(
        "/tokenize",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"?\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[%s,%s]},%s]}"
            .formatted(call.formatted("c1"), call.formatted("c2"), results));
  }

  private static JsonNode post(String fields) {
    HttpResponse<String> response = server.post(CHAT, longer(chat("\"Paint it.\"", fields)));
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return json(response.body());
  }

  private static String longer(String body) {
    return body.replace("\"max_tokens\":8", "\"max_tokens\":200");
  }
}
