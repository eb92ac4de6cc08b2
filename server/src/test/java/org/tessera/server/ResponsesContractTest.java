package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.tessera.server.ChatContractTest.assertError;
import static org.tessera.server.TestServer.dataUrl;
import static org.tessera.server.TestServer.json;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** {@code /v1/responses}, whose answers are those of chat completions in other words. */
class ResponsesContractTest {
  private static final String RESPONSES = "/v1/responses";
  private static final String TOOL =
      """
      ,"tools":[{"type":"function","name":"paint","parameters":{"type":"object",
       "properties":{"colour":{"enum":["red"]}},"required":["colour"],"additionalProperties":false}}],
       "tool_choice":{"type":"function","name":"paint"}\
      """;

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
  void anAnswerIsThatOfChat() {
    JsonNode response =
        post(
            "{\"temperature\":0,\"max_output_tokens\":8,\"instructions\":\"Be brief.\",\"input\":\"What is this?\"}");
    String chat =
        """
        {"temperature":0,"max_tokens":8,"messages":[{"role":"system","content":"Be brief."},
         {"role":"user","content":"What is this?"}]}\
        """;
    JsonNode completion = json(server.post("/v1/chat/completions", chat).body());

    assertThat(response.at("/object").asString()).isEqualTo("response");
    assertThat(response.at("/id").asString()).startsWith("resp_");
    assertThat(response.at("/output/0/type").asString()).isEqualTo("message");
    assertThat(response.at("/output/0/content/0/type").asString()).isEqualTo("output_text");
    assertThat(response.at("/output/0/content/0/text"))
        .isEqualTo(completion.at("/choices/0/message/content"));
    assertThat(response.at("/usage/input_tokens")).isEqualTo(completion.at("/usage/prompt_tokens"));
    boolean cut = completion.at("/choices/0/finish_reason").asString().equals("length");
    assertThat(response.at("/status").asString()).isEqualTo(cut ? "incomplete" : "completed");
    assertThat(response.at("/incomplete_details/reason").asString(""))
        .isEqualTo(cut ? "max_output_tokens" : "");
    assertThat(response.at("/error").isNull()).isTrue();
  }

  @Test
  void eventsTellTheSameInOrder() {
    String body =
        """
        {"temperature":0,"max_output_tokens":8%s,"input":[{"role":"user","content":[
         {"type":"input_text","text":"What is this?"},{"type":"input_image","image_url":"%s"}]}]}\
        """;
    String picture = dataUrl("small.png");
    JsonNode whole = post(body.formatted("", picture));
    List<JsonNode> events =
        events(server.post(RESPONSES, body.formatted(",\"stream\":true", picture)).body());

    List<String> types = events.stream().map(event -> event.at("/type").asString()).toList();
    assertThat(types)
        .startsWith(
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added")
        .endsWith(
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response." + whole.at("/status").asString());
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < events.size(); i++) {
      assertThat(events.get(i).at("/sequence_number").asInt()).isEqualTo(i);
      assertThat(events.get(i).has("error")).isFalse();
      if (types.get(i).equals("response.output_text.delta")) {
        text.append(events.get(i).at("/delta").asString());
      }
    }
    JsonNode last = events.getLast().get("response");
    assertThat(last.at("/output/0/content")).isEqualTo(whole.at("/output/0/content"));
    assertThat(last.at("/output/0/content/0/text").asString()).isEqualTo(text.toString());
    assertThat(last.at("/usage/input_tokens_details/image_tokens").asInt()).isPositive();
  }

  @Test
  void aCallComesAndItsOutputGoesBack() {
    String body = "{\"temperature\":0,\"input\":\"Paint.\"%s}";
    JsonNode call = post(body.formatted(TOOL)).at("/output/0");
    List<JsonNode> events =
        events(server.post(RESPONSES, body.formatted(TOOL + ",\"stream\":true")).body());

    assertThat(call.at("/type").asString()).isEqualTo("function_call");
    assertThat(call.at("/name").asString()).isEqualTo("paint");
    assertThat(json(call.at("/arguments").asString()).at("/colour").asString()).isEqualTo("red");
    assertThat(events.stream().map(event -> event.at("/type").asString()))
        .containsSubsequence(
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed");
    JsonNode after =
        post(
            "{\"max_output_tokens\":4,\"input\":[{\"role\":\"user\",\"content\":\"Paint.\"},%s,{\"type\":\"function_call_output\",\"call_id\":%s,\"output\":\"done\"}]}"
                .formatted(call, call.get("call_id")));
    assertThat(after.at("/output/0/type").asString()).isEqualTo("message");
  }

  @Test
  void aFormatIsKeptTo() {
    JsonNode response =
        post(
            "{\"input\":\"?\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"enum\":[7]}}}}");

    assertThat(response.at("/output/0/content/0/text").asString()).isEqualTo("7");
    assertThat(response.at("/text/format/type").asString()).isEqualTo("json_schema");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"input\":5}",
        "{\"input\":[]}",
        "{\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]}",
        "{\"input\":\"x\",\"previous_response_id\":\"resp_1\"}",
        "{\"input\":\"x\",\"background\":true}",
        "{\"input\":\"x\",\"max_output_tokens\":0}",
        "{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"xml\"}}}",
        "{\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}",
        "{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"x\",\"output\":\"y\"}]}",
        "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":\"f\"}]}]}",
        "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"file:///etc/passwd\"}]}]}"
      })
  void whatIsNotDoneIs400(String body) {
    assertError(server.post(RESPONSES, body), 400);
  }

  private static JsonNode post(String body) {
    var response = server.post(RESPONSES, body);
    assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
    return json(response.body());
  }

  private static List<JsonNode> events(String body) {
    List<JsonNode> events = new ArrayList<>();
    for (String event : body.split("\n\n")) {
      String[] lines = event.split("\n");
      assertThat(lines).hasSize(2);
      JsonNode data = json(lines[1].substring("data: ".length()));
      assertThat(lines[0]).isEqualTo("event: " + data.at("/type").asString());
      events.add(data);
    }
    return events;
  }
}
