package org.tessera.tools;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Separates content from calls while the model's text comes. Text that may become {@code
 * <tool_call>} is held back until that is known; a call is given when it is complete. What stands
 * between the tags but is no call is content, tags included: nothing of the text is lost, blanks
 * between calls neither. For one thread.
 */
public final class ToolCallParser {
  /** A longer call is content: it bounds what is held back. */
  static final int MAX_CALL_CHARACTERS = 1 << 18;

  private static final JsonMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(128).build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .build();

  /** What an answer is made of. */
  public sealed interface Output {
    /** Text for the reader. */
    record Content(String text) implements Output {}

    /** A call, whole. */
    record Call(ToolCall call) implements Output {}
  }

  private final StringBuilder held = new StringBuilder();

  /** Whether {@link #held} starts with {@code <tool_call>}; then how far it was searched. */
  private boolean inCall;

  private int searched;
  private boolean inString;
  private int calls;

  /** What the next piece of text completes. */
  public List<Output> push(String piece) {
    held.append(piece);
    List<Output> outputs = new ArrayList<>();
    while (inCall ? endCall(outputs) : startCall(outputs)) {
      // each turn takes something off the text that is held
    }
    return outputs;
  }

  /** The end of the text: a call whose last tag is missing counts where its JSON is whole. */
  public List<Output> finish() {
    List<Output> outputs = new ArrayList<>();
    String rest = held.toString();
    held.setLength(0);
    ToolCall call = inCall ? parse(rest.substring(ToolPrompt.CALL_START.length())) : null;
    inCall = false;
    if (call != null) {
      calls++;
      outputs.add(new Output.Call(call));
    } else {
      content(rest, outputs);
    }
    return outputs;
  }

  /** Calls so far: where there is one, OpenAI's finish reason is {@code tool_calls}. */
  public int calls() {
    return calls;
  }

  private boolean startCall(List<Output> outputs) {
    int start = held.indexOf(ToolPrompt.CALL_START);
    int safe = start >= 0 ? start : held.length() - partialTag();
    content(held.substring(0, safe), outputs);
    held.delete(0, safe);
    inCall = start >= 0;
    searched = ToolPrompt.CALL_START.length();
    inString = false;
    return inCall;
  }

  /** How much of the text's end may be the start of a tag. */
  private int partialTag() {
    int length = Math.min(held.length(), ToolPrompt.CALL_START.length() - 1);
    while (length > 0
        && !ToolPrompt.CALL_START.startsWith(held.substring(held.length() - length))) {
      length--;
    }
    return length;
  }

  /** Looks for the closing tag, which in a JSON string is text. */
  private boolean endCall(List<Output> outputs) {
    for (; searched < held.length(); searched++) {
      char c = held.charAt(searched);
      if (inString && c == '\\') {
        if (searched + 1 == held.length()) {
          return false;
        }
        searched++;
      } else if (c == '"') {
        inString = !inString;
      } else if (!inString && c == '<') {
        int end = searched + ToolPrompt.CALL_END.length();
        if (held.length() < end) {
          return false;
        }
        if (held.substring(searched, end).equals(ToolPrompt.CALL_END)) {
          take(end, outputs);
          return true;
        }
      }
    }
    if (held.length() > MAX_CALL_CHARACTERS) {
      String text = held.toString();
      held.setLength(0);
      inCall = false;
      content(text, outputs);
    }
    return false;
  }

  private void take(int end, List<Output> outputs) {
    ToolCall call = parse(held.substring(ToolPrompt.CALL_START.length(), searched));
    if (call != null) {
      calls++;
      outputs.add(new Output.Call(call));
    } else {
      content(held.substring(0, end), outputs);
    }
    held.delete(0, end);
    inCall = false;
  }

  private static void content(String text, List<Output> outputs) {
    if (!text.isEmpty()) {
      outputs.add(new Output.Content(text));
    }
  }

  private static @Nullable ToolCall parse(String json) {
    try {
      JsonNode node = JSON.readTree(json);
      JsonNode name = node.path("name");
      JsonNode arguments = node.path("arguments");
      if (!name.isString() || name.stringValue().isEmpty()) {
        return null;
      }
      String text =
          arguments.isMissingNode()
              ? "{}"
              : arguments.isString() ? arguments.stringValue() : arguments.toString();
      return ToolCall.of(name.stringValue(), text);
    } catch (JacksonException e) {
      return null; // no call: it is shown as it came
    }
  }
}
