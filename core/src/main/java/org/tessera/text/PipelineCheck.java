package org.tessera.text;

import org.tessera.error.CheckpointException;
import tools.jackson.databind.JsonNode;

/** Refuses a tokenizer.json whose steps are not exactly the ones that {@link Tokenizer} takes. */
final class PipelineCheck {
  private PipelineCheck() {}

  static void check(String file, JsonNode root) {
    checkModel(file, root.path("model"));
    JsonNode normalizer = single(root.path("normalizer"), "normalizers");
    expect(file, "normalizer.type", normalizer.path("type"), "NFC");
    checkPreTokenizer(file, root.path("pre_tokenizer"));
    expect(file, "decoder.type", root.path("decoder").path("type"), "ByteLevel");
    JsonNode postProcessor = root.path("post_processor");
    if (present(postProcessor)) { // ByteLevel's changes offsets only
      expect(file, "post_processor.type", postProcessor.path("type"), "ByteLevel");
    }
  }

  private static void checkModel(String file, JsonNode model) {
    expect(file, "model.type", model.path("type"), "BPE");
    absentOrFalse(file, model, "byte_fallback");
    absentOrFalse(file, model, "ignore_merges");
    for (String key : new String[] {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (present(model.path(key))) {
        expect(file, "model." + key, model.path(key), "");
      }
    }
    JsonNode dropout = model.path("dropout");
    if (present(dropout) && !(dropout.isNumber() && dropout.doubleValue() == 0)) {
      throw new CheckpointException(file + ": model.dropout is set, expected null");
    }
  }

  private static void checkPreTokenizer(String file, JsonNode preTokenizer) {
    JsonNode steps = preTokenizer.path("pretokenizers");
    if (!steps.isArray() || steps.size() != 2) {
      throw new CheckpointException(
          file + ": pre_tokenizer is not a sequence of two, Split and ByteLevel");
    }
    JsonNode split = steps.get(0);
    expect(file, "pre_tokenizer: first type", split.path("type"), "Split");
    expect(
        file,
        "pre_tokenizer: Split pattern",
        split.path("pattern").path("Regex"),
        QwenSplitter.PATTERN);
    expect(file, "pre_tokenizer: Split behavior", split.path("behavior"), "Isolated");
    absentOrFalse(file, split, "invert");
    JsonNode byteLevel = steps.get(1);
    expect(file, "pre_tokenizer: second type", byteLevel.path("type"), "ByteLevel");
    explicitlyFalse(file, byteLevel, "add_prefix_space");
    explicitlyFalse(file, byteLevel, "use_regex"); // their default is true
  }

  /** The only step of a sequence of one, else the node itself. */
  private static JsonNode single(JsonNode node, String steps) {
    JsonNode list = node.path(steps);
    return list.isArray() && list.size() == 1 ? list.get(0) : node;
  }

  static void absentOrFalse(String file, JsonNode node, String key) {
    if (present(node.path(key))) {
      explicitlyFalse(file, node, key);
    }
  }

  private static void explicitlyFalse(String file, JsonNode node, String key) {
    JsonNode value = node.path(key);
    if (!value.isBoolean() || value.booleanValue()) {
      throw new CheckpointException(
          "%s: %s is %s, expected false".formatted(file, key, describe(value)));
    }
  }

  private static void expect(String file, String key, JsonNode value, String expected) {
    if (!value.isString() || !value.stringValue().equals(expected)) {
      throw new CheckpointException(
          "%s: %s is %s, expected \"%s\"".formatted(file, key, describe(value), expected));
    }
  }

  private static boolean present(JsonNode node) {
    return !node.isMissingNode() && !node.isNull();
  }

  private static String describe(JsonNode node) {
    if (node.isMissingNode()) {
      return "missing";
    }
    String text = node.toString();
    return text.length() <= 200 ? text : text.substring(0, 200) + "…";
  }
}
