package org.tessera.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.error.InvalidRequestException;

class ToolsTest {
  private static final Tool WEATHER =
      new Tool("weather", "Tells it.", "{\"type\":\"object\",\"properties\":{}}");

  /** However the text is cut into pieces, the same content and calls come out. */
  @Test
  void callsAreFoundInAnyPieces() {
    String text =
        "Let me <b>see</b>. <tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": \"</tool_call> \\\" é\"}}\n"
            + "</tool_call>\n<tool_call>{\"name\":\"b\"}</tool_call> Done <tool_cal";
    Random random = new Random(1);
    for (int i = 0; i < 200; i++) {
      ToolCallParser parser = new ToolCallParser();
      List<ToolCallParser.Output> outputs = new ArrayList<>();
      for (int at = 0; at < text.length(); ) {
        int to = Math.min(text.length(), at + 1 + random.nextInt(i < 100 ? 4 : 40));
        outputs.addAll(parser.push(text.substring(at, to)));
        at = to;
      }
      outputs.addAll(parser.finish());

      assertThat(content(outputs)).isEqualTo("Let me <b>see</b>. \n Done <tool_cal");
      List<ToolCall> calls = calls(outputs);
      assertThat(calls).extracting(ToolCall::name).containsExactly("a", "b");
      assertThat(calls)
          .extracting(ToolCall::arguments)
          .containsExactly("{\"x\":\"</tool_call> \\\" é\"}", "{}");
      assertThat(parser.calls()).isEqualTo(2);
    }
  }

  @Test
  void whatIsNoCallStaysContent() {
    for (String text :
        new String[] {
          "<tool_call>nonsense</tool_call>",
          "<tool_call>{\"arguments\":{}}</tool_call>",
          "<tool_call>{\"name\":",
          "<<tool_call",
          "",
          "a<b"
        }) {
      ToolCallParser parser = new ToolCallParser();
      List<ToolCallParser.Output> outputs = new ArrayList<>(parser.push(text));
      outputs.addAll(parser.finish());

      assertThat(content(outputs)).isEqualTo(text);
      assertThat(calls(outputs)).isEmpty();
    }
  }

  @Test
  void aCallWithoutItsLastTagCountsWhereItIsWhole() {
    ToolCallParser parser = new ToolCallParser();
    assertThat(parser.push("<tool_call>{\"name\":\"f\",\"arguments\":\"{}\"}")).isEmpty();
    assertThat(calls(parser.finish())).extracting(ToolCall::name).containsExactly("f");
  }

  @Test
  void definitionsStandInTheSystemMessageAndResultsInATurnOfTheUser() {
    ToolCall call = new ToolCall("call_1", "weather", "{\"city\":\"Bonn\"}");
    List<Message> messages =
        ToolPrompt.apply(
            List.of(
                Message.user("Rain?"),
                ToolPrompt.calls("", List.of(call)),
                Message.tool("no"),
                Message.tool("dry"),
                Message.user("Sure?")),
            new Tools(List.of(WEATHER), new ToolChoice.Auto()));

    assertThat(messages)
        .extracting(Message::role)
        .containsExactly(Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER, Role.USER);
    assertThat(text(messages.getFirst())).contains("<tools>\n{", "\"weather\"", "</tools>");
    assertThat(text(messages.get(2)))
        .isEqualTo(
            "<tool_call>\n{\"name\":\"weather\",\"arguments\":{\"city\":\"Bonn\"}}\n</tool_call>");
    assertThat(text(messages.get(3)))
        .isEqualTo("<tool_response>\nno\n</tool_response>\n<tool_response>\ndry\n</tool_response>");
  }

  @Test
  void withoutToolsNothingChanges() {
    List<Message> messages = List.of(Message.system("Be brief."), Message.user("Hi"));
    assertThat(ToolPrompt.apply(messages, Tools.none())).isEqualTo(messages);
    assertThat(ToolPrompt.apply(messages, new Tools(List.of(WEATHER), new ToolChoice.None())))
        .isEqualTo(messages);
  }

  @Test
  void toolsThatMakeNoSenseAreRefused() {
    assertThatThrownBy(() -> new Tool("a b", "", "{}")).isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() -> new Tools(List.of(WEATHER, WEATHER), new ToolChoice.Auto()))
        .isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() -> new Tools(List.of(WEATHER), new ToolChoice.Function("other")))
        .isInstanceOf(InvalidRequestException.class);
    assertThatThrownBy(() -> new Tools(List.of(), new ToolChoice.Required()))
        .isInstanceOf(InvalidRequestException.class);
  }

  private static String content(List<ToolCallParser.Output> outputs) {
    StringBuilder text = new StringBuilder();
    for (ToolCallParser.Output output : outputs) {
      if (output instanceof ToolCallParser.Output.Content(String piece)) {
        text.append(piece);
      }
    }
    return text.toString();
  }

  private static List<ToolCall> calls(List<ToolCallParser.Output> outputs) {
    return outputs.stream()
        .filter(ToolCallParser.Output.Call.class::isInstance)
        .map(output -> ((ToolCallParser.Output.Call) output).call())
        .toList();
  }

  private static String text(Message message) {
    return String.join(
        "\n", message.content().stream().map(part -> ((Part.Text) part).text()).toList());
  }
}
