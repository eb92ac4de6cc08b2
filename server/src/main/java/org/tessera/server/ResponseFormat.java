package org.tessera.server;

/** What an answer must look like. */
sealed interface ResponseFormat {
  /** Anything. */
  record Text() implements ResponseFormat {}

  /** Any JSON object. */
  record JsonObject() implements ResponseFormat {}

  /** JSON that a schema allows, as the client wrote it. */
  record JsonSchema(String schema) implements ResponseFormat {}

  /** The field {@code response_format}. */
  static ResponseFormat of(Fields body, ServerLimits limits) {
    Fields format = body.object("response_format").orElse(null);
    if (format == null) {
      return new Text();
    }
    return switch (format.requiredString("type")) {
      case "text" -> new Text();
      case "json_object" -> new JsonObject();
      case "json_schema" -> {
        Fields holder =
            format.object("json_schema").orElseThrow(() -> format.missing("json_schema"));
        String schema =
            holder.object("schema").orElseThrow(() -> holder.missing("schema")).node().toString();
        if (schema.length() > limits.maxSchemaBytes()) {
          throw ApiException.tooLarge(
              holder.param("schema"),
              "a schema may have %d characters at most".formatted(limits.maxSchemaBytes()));
        }
        yield new JsonSchema(schema);
      }
      default ->
          throw ApiException.invalid(
              format.param("type"),
              "response_format.type must be text, json_object or json_schema");
    };
  }
}
