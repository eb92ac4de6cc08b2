package org.tessera.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.api.ResponseFormat;
import tools.jackson.databind.JsonNode;

/**
 * What an answer must be: OpenAI's {@code response_format} and vLLM's fields beside it, of which a
 * request may have one.
 */
final class Formats {
  private static final int MAX_CHOICES = 1024;
  private static final String STRUCTURED_OUTPUTS = "structured_outputs";

  private final ServerLimits limits;
  private final List<ResponseFormat> found = new ArrayList<>();

  private Formats(ServerLimits limits) {
    this.limits = limits;
  }

  /** Of a chat completion. */
  static ResponseFormat of(Fields body, ServerLimits limits) {
    Formats formats = new Formats(limits);
    body.object("response_format").ifPresent(format -> formats.typed(format, "json_schema"));
    formats.extras(body, "guided_");
    formats.extras(body, "");
    body.object(STRUCTURED_OUTPUTS).ifPresent(fields -> formats.extras(fields, ""));
    return formats.one();
  }

  /** Of {@code /v1/responses}: {@code text.format}, whose schema stands beside its type. */
  static ResponseFormat ofResponses(Fields body, ServerLimits limits) {
    Formats formats = new Formats(limits);
    body.object("text")
        .flatMap(text -> text.object("format"))
        .ifPresent(format -> formats.typed(format, ""));
    return formats.one();
  }

  private ResponseFormat one() {
    if (found.size() > 1) {
      throw ApiException.invalid(
          "response_format", "a request may have one response format, this one has several");
    }
    return found.isEmpty() ? new ResponseFormat.Text() : found.getFirst();
  }

  /**
   * @param holderName the object that holds the schema; empty where {@code format} does
   */
  private void typed(Fields format, String holderName) {
    switch (format.requiredString("type")) {
      case "text" -> {}
      case "json_object" -> found.add(new ResponseFormat.JsonObject());
      case "json_schema" -> {
        Fields holder =
            holderName.isEmpty()
                ? format
                : format.object(holderName).orElseThrow(() -> format.missing(holderName));
        found.add(schema(holder, "schema"));
      }
      default ->
          throw ApiException.invalid(
              format.param("type"),
              "%s must be text, json_object or json_schema".formatted(format.param("type")));
    }
  }

  private void extras(Fields fields, String prefix) {
    String json = prefix + "json";
    if (fields.has(json)) {
      found.add(schema(fields, json));
    }
    String regex = prefix + "regex";
    fields
        .string(regex)
        .ifPresent(pattern -> found.add(new ResponseFormat.Regex(limited(fields, regex, pattern))));
    String choice = prefix + "choice";
    if (fields.has(choice)) {
      List<String> options = fields.strings(choice, MAX_CHOICES, limits.maxSchemaBytes());
      found.add(new ResponseFormat.Choice(options));
    }
    if (fields.flag(prefix + "json_object")) {
      found.add(new ResponseFormat.JsonObject());
    }
    String grammar = prefix + "grammar";
    if (fields.has(grammar)) {
      throw ApiException.unsupported(fields.param(grammar), "grammars are not supported");
    }
  }

  /** A schema is an object, or {@code true}; vLLM takes it as a string, too. */
  private ResponseFormat schema(Fields fields, String name) {
    Optional<JsonNode> value = fields.get(name);
    if (value.isEmpty()) {
      throw fields.missing(name);
    }
    JsonNode schema = value.get();
    String text = schema.isString() ? schema.stringValue() : schema.toString();
    return new ResponseFormat.JsonSchema(limited(fields, name, text));
  }

  private String limited(Fields fields, String name, String text) {
    if (text.length() > limits.maxSchemaBytes()) {
      throw ApiException.tooLarge(
          fields.param(name),
          "%s may have %d characters at most"
              .formatted(fields.param(name), limits.maxSchemaBytes()));
    }
    return text;
  }
}
