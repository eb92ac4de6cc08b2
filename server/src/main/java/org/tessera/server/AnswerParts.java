package org.tessera.server;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.tessera.api.ChatRequest;
import org.tessera.api.FinishReason;
import org.tessera.api.ResponseFormat;
import org.tessera.tools.ToolCall;
import org.tessera.tools.ToolCallParser;
import org.tessera.tools.ToolCallParser.Output;
import org.tessera.tools.ToolChoice;

/**
 * One answer as it comes, its content apart from its calls. Blanks next to a call are not content.
 */
final class AnswerParts {
  private final Optional<ToolCallParser> parser;
  private final boolean parallelCalls;
  private final StringBuilder content = new StringBuilder();
  private final List<ToolCall> calls = new ArrayList<>();

  /** Blanks that are content unless a call follows. */
  private final StringBuilder blanks = new StringBuilder();

  AnswerParts(ChatRequest request) {
    boolean mayCall =
        !request.tools().functions().isEmpty()
            && !(request.tools().choice() instanceof ToolChoice.None)
            && request.format() instanceof ResponseFormat.Text;
    parser = mayCall ? Optional.of(new ToolCallParser()) : Optional.empty();
    parallelCalls = request.tools().parallelCalls();
  }

  /** What a piece of text completes. */
  List<Output> push(String piece) {
    if (parser.isPresent()) {
      return taken(parser.get().push(piece));
    }
    content.append(piece);
    return piece.isEmpty() ? List.of() : List.of(new Output.Content(piece));
  }

  /** What the end of the text completes. */
  List<Output> finish() {
    if (parser.isEmpty()) {
      return List.of();
    }
    List<Output> outputs = taken(parser.get().finish());
    if (calls.isEmpty() && !blanks.isEmpty()) {
      content.append(blanks);
      outputs.add(new Output.Content(blanks.toString()));
      blanks.setLength(0);
    }
    return outputs;
  }

  private List<Output> taken(List<Output> outputs) {
    List<Output> kept = new ArrayList<>();
    for (Output output : outputs) {
      if (!parallelCalls && !calls.isEmpty()) {
        break; // the client wants one call: what follows it goes unheard
      }
      switch (output) {
        case Output.Content(String text) -> {
          blanks.append(text);
          if (!text.isBlank()) {
            kept.add(new Output.Content(blanks.toString()));
            content.append(blanks);
            blanks.setLength(0);
          }
        }
        case Output.Call(ToolCall call) -> {
          blanks.setLength(0);
          calls.add(call);
          kept.add(output);
        }
      }
    }
    return kept;
  }

  String content() {
    return content.toString();
  }

  List<ToolCall> calls() {
    return List.copyOf(calls);
  }

  /** In OpenAI's terms: an answer that was cut is cut, whatever it called. */
  String finishReason(FinishReason reason) {
    return reason == FinishReason.STOP && !calls.isEmpty() ? "tool_calls" : reason.lowerCase();
  }
}
