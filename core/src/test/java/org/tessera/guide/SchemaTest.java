package org.tessera.guide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.tessera.guide.Languages.valid;

import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.InvalidRequestException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class SchemaTest {
  private static final JsonMapper JSON = new JsonMapper();

  /**
   * What the grammar of a random schema lets through is JSON that an independent validator takes.
   */
  @Test
  void randomTextsOfRandomSchemasAreValid() {
    Random random = new Random(23);
    int whole = 0;
    for (int i = 0; i < 300; i++) {
      String schema = RandomSchema.make(random);
      Schema validator = validator(schema);
      Automaton automaton = Languages.automaton(SchemaCompiler.compile(schema));
      for (int j = 0; j < 5; j++) {
        byte[] bytes = Languages.random(automaton, random, 4000);
        if (bytes != null) {
          whole++;
          String text = new String(bytes, StandardCharsets.UTF_8);
          assertThat(JSON.readTree(text)).isNotNull();
          assertThat(errors(validator, text)).as(schema + "\n" + text).isEmpty();
        }
      }
    }
    assertThat(whole).isGreaterThan(1000);
  }

  /**
   * The same texts with one byte changed: where the grammar still takes one, so does the validator.
   */
  @Test
  void damagedTextsThatPassAreValidToo() {
    Random random = new Random(29);
    int refused = 0;
    for (int i = 0; i < 200; i++) {
      String schema = RandomSchema.make(random);
      Schema validator = validator(schema);
      Automaton automaton = Languages.automaton(SchemaCompiler.compile(schema));
      byte[] bytes = Languages.random(automaton, random, 2000);
      for (int j = 0; bytes != null && bytes.length > 0 && j < 20; j++) {
        byte[] damaged = bytes.clone();
        damaged[random.nextInt(bytes.length)] =
            (byte) "0a\"{}[],:-. tn9".charAt(random.nextInt(15));
        String text = new String(damaged, StandardCharsets.UTF_8);
        if (Languages.accepts(automaton, text)) {
          assertThat(errors(validator, text)).as(schema + "\n" + text).isEmpty();
        } else {
          refused++;
        }
      }
    }
    assertThat(refused).isGreaterThan(500);
  }

  @Test
  void integersBetweenBoundsAreExactlyThose() {
    Random random = new Random(31);
    for (int i = 0; i < 200; i++) {
      int spread = random.nextBoolean() ? 50 : 3000;
      int low = random.nextInt(2 * spread) - spread;
      int high = low + random.nextInt(spread);
      Automaton automaton =
          Languages.automaton(
              SchemaCompiler.compile(
                  "{\"type\":\"integer\",\"minimum\":%d,\"exclusiveMaximum\":%d}"
                      .formatted(low, high + 1)));
      for (int n = low - 20; n < high + 20; n++) {
        assertThat(Languages.accepts(automaton, Integer.toString(n)))
            .as("%d in %d..%d", n, low, high)
            .isEqualTo(low <= n && n <= high);
      }
    }
  }

  @Test
  void numbersBetweenBoundsAreExactlyThose() {
    Random random = new Random(37);
    for (int i = 0; i < 60; i++) {
      int low = random.nextInt(30) - 15;
      int high = low + 1 + random.nextInt(15);
      boolean lowIn = random.nextBoolean();
      boolean highIn = random.nextBoolean();
      Automaton automaton =
          Languages.automaton(
              SchemaCompiler.compile(
                  "{\"type\":\"number\",\"%s\":%d,\"%s\":%d}"
                      .formatted(
                          lowIn ? "minimum" : "exclusiveMinimum",
                          low,
                          highIn ? "maximum" : "exclusiveMaximum",
                          high)));
      for (int tenths = 10 * low - 20; tenths <= 10 * high + 20; tenths++) {
        boolean inside =
            (lowIn ? tenths >= 10 * low : tenths > 10 * low)
                && (highIn ? tenths <= 10 * high : tenths < 10 * high);
        String text = (tenths < 0 ? "-" : "") + Math.abs(tenths) / 10 + "." + Math.abs(tenths) % 10;
        assertThat(Languages.accepts(automaton, text)).as(text).isEqualTo(inside);
      }
    }
  }

  @Test
  void objectsKeepTheOrderOfTheirProperties() {
    String schema =
        """
        {"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},
         "c":{"type":"null"}},"required":["b"],"additionalProperties":false}\
        """;
    assertThat(valid(schema, "{\"b\":\"\"}")).isTrue();
    assertThat(valid(schema, "{\"a\": 1, \"b\": \"x\", \"c\": null}")).isTrue();
    assertThat(valid(schema, "{\n  \"b\": \"x\",\n  \"c\": null\n}")).isTrue();
    assertThat(valid(schema, "{\"a\": 1}")).isFalse();
    assertThat(valid(schema, "{\"a\":1,,\"b\":\"\"}")).isFalse();
    assertThat(valid(schema, "{,\"b\":\"\"}")).isFalse();
    assertThat(valid(schema, "{\"b\":\"\",}")).isFalse();
    assertThat(valid(schema, "{\"b\":\"\",\"d\":1}")).isFalse();
  }

  @Test
  void otherPropertiesHaveOtherNames() {
    String schema =
        """
        {"properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}\
        """;
    assertThat(valid(schema, "{\"ab\":1,\"abc\":true,\"a\":false,\"\":true}")).isTrue();
    assertThat(valid(schema, "{\"b\\\"\":true}")).isTrue();
    assertThat(valid(schema, "{\"ab\":true}")).isFalse();
    assertThat(valid(schema, "{\"\\u0061b\":true}")).isFalse();
    assertThat(valid(schema, "{\"x\":1}")).isFalse();
  }

  @Test
  void recursionNestsAsDeepAsTheStack() {
    String schema =
        """
        {"$ref":"#/$defs/tree","$defs":{"tree":{"type":"array","items":{"$ref":"#/$defs/tree"}}}}\
        """;
    assertThat(valid(schema, "[[],[[]],[[],[]]]")).isTrue();
    assertThat(valid(schema, "[".repeat(20) + "]".repeat(20))).isTrue();
    assertThat(valid(schema, "[".repeat(100) + "]".repeat(100))).isFalse();
    assertThat(valid(schema, "[1]")).isFalse();
  }

  @Test
  void patternsHoldForWhatTheStringMeans() {
    String schema = "{\"type\":\"string\",\"pattern\":\"^[\\\"\\\\n\\\\\\\\a]+$\"}";
    assertThat(valid(schema, "\"a\\\"\\n\\\\\"")).isTrue();
    assertThat(valid(schema, "\"b\"")).isFalse();
    assertThat(valid("{\"pattern\":\"b\"}", "\"abc\"")).isTrue();
    assertThat(valid("{\"pattern\":\"^b\"}", "\"abc\"")).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "date;2024-02-28;2024-02-30",
        "time;23:59:59Z;24:00:00Z",
        "date-time;2024-12-31T10:00:00.5+02:00;2024-12-31",
        "uuid;123e4567-e89b-12d3-a456-426614174000;123e4567",
        "ipv4;255.0.10.1;256.0.0.1",
        "email;a.b@example.org;a@b@c",
        "hostname;www.example.org;-a"
      })
  void formatsAreKept(String format, String good, String bad) {
    String schema = "{\"type\":\"string\",\"format\":\"%s\"}".formatted(format);
    assertThat(valid(schema, "\"" + good + "\"")).isTrue();
    assertThat(valid(schema, "\"" + bad + "\"")).isFalse();
    assertThat(errors(validator(schema), "\"" + good + "\"")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "not",
        "if",
        "patternProperties",
        "propertyNames",
        "contains",
        "multipleOf",
        "minProperties",
        "dependentRequired",
        "unevaluatedProperties",
        "$anchor",
        "contentEncoding",
        "nonsense"
      })
  void keywordsThatAreNotSupportedAreNamed(String keyword) {
    for (String schema : new String[] {"{\"%s\":1}", "{\"items\":{\"anyOf\":[{\"%s\":1}]}}"}) {
      assertThatThrownBy(() -> SchemaCompiler.compile(schema.formatted(keyword)))
          .isInstanceOf(InvalidRequestException.class)
          .hasMessageContaining("'" + keyword + "'");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"uniqueItems\":true}",
        "{\"format\":\"iri\"}",
        "{\"minLength\":1,\"format\":\"date\"}",
        "{\"minimum\":0.5}",
        "{\"type\":\"text\"}",
        "{\"$ref\":\"http://x/y\"}",
        "{\"$ref\":\"#/nowhere\"}",
        "{\"enum\":[1],\"minimum\":0}",
        "{\"minLength\":-1}",
        "{\"minLength\":3,\"maxLength\":2}",
        "{\"anyOf\":[{\"minLength\":2}],\"minLength\":1}"
      })
  void whatCannotBeKeptIsRefused(String schema) {
    assertThatThrownBy(() -> SchemaCompiler.compile(schema))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("(at #");
  }

  @Test
  void partsThatHoldTogetherAreJoined() {
    String schema =
        """
        {"allOf":[{"$ref":"#/$defs/a"},{"properties":{"y":{"type":"null"}},"required":["y"]}],
         "$defs":{"a":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}}\
        """;
    assertThat(valid(schema, "{\"y\":null,\"x\":1}") || valid(schema, "{\"x\":1,\"y\":null}"))
        .isTrue();
    assertThat(valid(schema, "{\"x\":1}")).isFalse();
    assertThat(valid("{\"type\":\"object\",\"anyOf\":[{\"required\":[\"a\"]}]}", "{\"a\":[1]}"))
        .isTrue();
  }

  @Test
  void jsonObjectsAreObjects() {
    Automaton automaton = Languages.automaton(JsonText.OBJECT);
    assertThat(
            Languages.accepts(
                automaton, "{\"a\": [1, -2.5e+3, {\"b\": null}], \"ü\": \"\\u00e9\"}"))
        .isTrue();
    for (String text :
        new String[] {"[]", "1", "{\"a\":01}", "{a:1}", "{} ", "{\"\t\":1}", "{\"\\ud800\":1}"}) {
      assertThat(Languages.accepts(automaton, text)).as(text).isFalse();
    }
    Random random = new Random(41);
    int whole = 0;
    for (int i = 0; i < 300; i++) {
      byte[] bytes = Languages.random(automaton, random, 3000);
      if (bytes != null) {
        JsonNode node = JSON.readTree(new String(bytes, StandardCharsets.UTF_8));
        assertThat(node.isObject()).isTrue();
        whole++;
      }
    }
    assertThat(whole).isGreaterThan(100);
  }

  private static Schema validator(String schema) {
    return SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12).getSchema(schema);
  }

  private static String errors(Schema validator, String text) {
    return String.join(
        "\n",
        validator
            .validate(
                text,
                InputFormat.JSON,
                context -> context.executionConfig(config -> config.formatAssertionsEnabled(true)))
            .stream()
            .map(Object::toString)
            .toList());
  }
}
