package org.tessera.guide;

import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.api.ResponseFormat;
import org.tessera.error.InvalidRequestException;
import org.tessera.sampling.TokenConstraint;
import org.tessera.text.Tokenizer;
import org.tessera.text.TokenizerVectors;

/** Formats made to cost much: each ends soon, with a guide that works or with a refusal. */
class HostileFormatTest {
  private static final Duration SOON = Duration.ofSeconds(20);

  private static Tokenizer tokenizer;
  private static Guides guides;

  @BeforeAll
  static void load() {
    tokenizer = Tokenizer.load(TokenizerVectors.checkpoint());
    guides =
        new Guides(tokenizer, Set.of(tokenizer.idOf("<|im_end|>").orElseThrow()), tokenizer.size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a*)*b",
        "((a|a)*)*b",
        "(a|b)*a(a|b){200}",
        "(.*.*.*)*x",
        "(a?){500}a{500}",
        "[\\s\\S]*a[\\s\\S]{300}",
        "((a{0,50}){0,50}){0,20}",
        "(\\p{L}|\\p{Lu}|\\p{N}){20}"
      })
  void patternsThatBacktrackElsewhereAreFollowedOrRefused(String pattern) {
    assertTimeoutPreemptively(
        SOON,
        () -> {
          try {
            TokenConstraint constraint =
                guides.of(new ResponseFormat.Regex(pattern)).orElseThrow().get();
            int a = tokenizer.encode("a")[0];
            for (int step = 0; step < 30 && has(constraint, a); step++) {
              constraint.accept(a);
            }
          } catch (InvalidRequestException e) {
            // A refusal is as good; running on is not.
            assertThatThrownBy(
                    () -> {
                      throw e;
                    })
                .hasMessageMatching(".*(ambiguous|too large).*");
          }
        });
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x{1000}{1000}",
        "(x{1000}){1000}",
        "((((){1000}){1000}){1000}){1000}",
        "x{99999999999}",
        "(((\\p{L}{100}){100}){100}){100}",
        "[^\\s\\S]"
      })
  void patternsThatMultiplyAreRefused(String pattern) {
    refusedSoon(new ResponseFormat.Regex(pattern));
  }

  @Test
  void longOnesAreRefused() {
    refusedSoon(new ResponseFormat.Regex("(".repeat(5000) + "a" + ")".repeat(5000)));
    refusedSoon(new ResponseFormat.Regex("a".repeat(1 << 20)));
    refusedSoon(new ResponseFormat.JsonSchema("{\"title\":\"" + "a".repeat(1 << 20) + "\"}"));
    refusedSoon(new ResponseFormat.JsonSchema("[".repeat(1 << 17)));
    refusedSoon(new ResponseFormat.JsonSchema("{\"items\":".repeat(250) + "{}" + "}".repeat(250)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"$ref\":\"#\"}",
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
        "{\"allOf\":[{\"$ref\":\"#\"},{\"type\":\"string\"}]}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":1}",
        "{\"type\":\"string\",\"maxLength\":2000000000}",
        "{\"type\":\"array\",\"minItems\":2000000000}",
        "{\"type\":\"integer\",\"minimum\":1e999999999}",
        "{\"type\":\"integer\",\"minimum\":1e-999999999}",
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}",
        "{\"enum\":[]}",
        "{\"const\":1,\"type\":\"string\"}",
        "{\"type\":\"string\",\"pattern\":\"(x{1000}){1000}\"}",
        "false",
        "3",
        "{",
        "{} {}"
      })
  void schemasThatNeverEndAreRefused(String schema) {
    refusedSoon(new ResponseFormat.JsonSchema(schema));
  }

  /** 2^30 ways to read one text, if each were followed. */
  @Test
  void definitionsThatDoubleAreRefusedOrMerged() {
    StringBuilder schema = new StringBuilder("{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 30; i++) {
      String next = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/d%d\"}%s}";
      schema.append("\"d%d\":{\"anyOf\":[".formatted(i));
      schema.append(next.formatted(i + 1, "")).append(',');
      schema.append(next.formatted(i + 1, ",\"maxItems\":9")).append("]},");
    }
    schema.append("\"d30\":{\"type\":\"string\"}}}");
    assertTimeoutPreemptively(
        SOON,
        () -> {
          TokenConstraint constraint =
              guides.of(new ResponseFormat.JsonSchema(schema.toString())).orElseThrow().get();
          assertThatThrownBy(
                  () -> {
                    for (int step = 0; step < 30; step++) {
                      constraint.allowed();
                      constraint.accept(tokenizer.encode("[")[0]);
                    }
                  })
              .isInstanceOf(InvalidRequestException.class)
              .hasMessageContaining("ambiguous");
        });
  }

  private static boolean has(TokenConstraint constraint, int id) {
    return (constraint.allowed()[id >> 6] >>> id & 1) != 0;
  }

  private static void refusedSoon(ResponseFormat format) {
    assertTimeoutPreemptively(
        SOON,
        () ->
            assertThatThrownBy(() -> guides.of(format))
                .isInstanceOf(InvalidRequestException.class));
  }
}
