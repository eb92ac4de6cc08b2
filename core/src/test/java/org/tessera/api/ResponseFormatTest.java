package org.tessera.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.networknt.schema.InputFormat;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tessera.error.InvalidRequestException;
import org.tessera.testing.ReferenceVectors;
import org.tessera.tools.Tool;
import org.tessera.tools.ToolCallParser;
import org.tessera.tools.ToolChoice;
import org.tessera.tools.Tools;

/**
 * Formats through the engine: the checkpoint's weights are random, so only the guide gives form.
 */
class ResponseFormatTest {
  private static final String SCHEMA =
      """
      {"type":"object","properties":{
        "colour":{"enum":["red","green","blue"]},
        "count":{"type":"integer","minimum":0,"maximum":99},
        "seen":{"type":"array","items":{"type":"string","maxLength":8},"minItems":1,"maxItems":3},
        "sure":{"type":"boolean"}},
       "required":["colour","count","seen","sure"],"additionalProperties":false}\
      """;
  private static final ResponseFormat JSON = new ResponseFormat.JsonSchema(SCHEMA);
  private static final GenerationOptions WILD =
      GenerationOptions.greedy().withTemperature(1.5f).withMaxNewTokens(600);

  private static Tessera tessera;

  @BeforeAll
  static void load() {
    tessera =
        Tessera.load(ReferenceVectors.path("checkpoint"), LoadOptions.defaults().withDevice("cpu"));
  }

  @AfterAll
  static void close() {
    if (tessera != null) {
      tessera.close();
    }
  }

  @Test
  void answersAreValidUnderTheirSchemaAndTheSameInAnyBatch() {
    List<ChatRequest> requests = new ArrayList<>();
    for (int seed = 0; seed < 6; seed++) {
      requests.add(ask().with(WILD.withSeed(seed)).with(JSON));
      requests.add(ask().with(WILD.withSeed(seed).withMaxNewTokens(40)));
    }
    List<ChatResponse> together = tessera.chat(requests);
    for (int i = 0; i < requests.size(); i += 2) {
      ChatResponse answer = together.get(i);
      assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
      assertThat(
              SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                  .getSchema(SCHEMA)
                  .validate(answer.text(), InputFormat.JSON))
          .as(answer.text())
          .isEmpty();
      assertThat(tessera.chat(requests.get(i)).tokenIds()).isEqualTo(answer.tokenIds());
    }
  }

  @Test
  void aPictureIsAnsweredWithAChoice() {
    byte[] rgb = new byte[40 * 40 * 3];
    Message question = Message.user("Colour?", new Image.Rgb("black", 40, 40, rgb));
    ChatResponse answer =
        tessera.chat(
            ChatRequest.of(question)
                .with(WILD.withSeed(1).withMinNewTokens(500).withLogprobs(5))
                .with(new ResponseFormat.Choice(List.of("red", "green"))));

    assertThat(answer.text()).isIn("red", "green");
    // The last token could only be a terminator, whatever the least length.
    assertThat(answer.logprobs()).hasSameSizeAs(answer.tokenIds());
    assertThat(answer.logprobs()).allMatch(token -> Double.isFinite(token.logprob()));
    assertThat(answer.logprobs())
        .allMatch(token -> token.top().stream().allMatch(top -> Double.isFinite(top.logprob())));
  }

  @Test
  void maxNewTokensCutsAndSaysSo() {
    ChatResponse answer = tessera.chat(ask().with(WILD.withMaxNewTokens(3)).with(JSON));

    assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(answer.text()).startsWith("{");
  }

  @Test
  void greedyAnswersMatchTheirPattern() {
    ChatResponse answer =
        tessera.chat(
            ask()
                .with(GenerationOptions.greedy().withMaxNewTokens(50))
                .with(new ResponseFormat.Regex("\\d{4}-\\d{2}( (am|pm))?")));

    assertThat(answer.text()).matches("\\d{4}-\\d{2}( (am|pm))?");
  }

  @Test
  void aDemandedCallIsMade() {
    Tool paint =
        new Tool(
            "paint",
            "Paints.",
            "{\"properties\":{\"colour\":{\"enum\":[\"red\"]}},\"required\":[\"colour\"]}");
    Tool stop = new Tool("stop", "", "{\"type\":\"object\",\"additionalProperties\":false}");
    ChatResponse answer =
        tessera.chat(
            ask()
                .with(WILD.withSeed(3))
                .with(new Tools(List.of(paint, stop), new ToolChoice.Function("paint"))));
    ToolCallParser parser = new ToolCallParser();
    List<ToolCallParser.Output> outputs = new ArrayList<>(parser.push(answer.text()));
    outputs.addAll(parser.finish());

    assertThat(outputs).hasSize(1);
    assertThat(outputs.getFirst())
        .isInstanceOfSatisfying(
            ToolCallParser.Output.Call.class,
            output -> {
              assertThat(output.call().name()).isEqualTo("paint");
              assertThat(output.call().arguments()).isEqualTo("{\"colour\":\"red\"}");
              assertThat(output.call().id()).startsWith("call_");
            });
  }

  @Test
  void whatCannotGoTogetherIsRefused() {
    assertRefused(ask().with(GenerationOptions.beamSearch()).with(JSON), "num_beams");
    assertRefused(
        ask().with(InputOptions.defaults().withCompatOriginal(true)).with(JSON), "original");
    assertRefused(ask().with(new ResponseFormat.Regex("(a)\\1")), "back reference");
    assertRefused(ask().with(new ResponseFormat.JsonSchema("{\"not\":{}}")), "'not'");
    Tools tools = new Tools(List.of(new Tool("f", "", "{}")), new ToolChoice.Required());
    assertRefused(ask().with(tools).with(JSON), "tool_choice");
  }

  private static void assertRefused(ChatRequest request, String why) {
    assertThatThrownBy(() -> tessera.chat(request))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining(why);
  }

  private static ChatRequest ask() {
    return ChatRequest.of(Message.user("Describe it."));
  }
}
