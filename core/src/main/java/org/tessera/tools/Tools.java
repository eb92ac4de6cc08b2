package org.tessera.tools;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.tessera.error.InvalidRequestException;

/**
 * The functions of a request.
 *
 * @param parallelCalls whether an answer that must call functions may hold several calls
 */
public record Tools(List<Tool> functions, ToolChoice choice, boolean parallelCalls) {
  private static final Tools NONE = new Tools(List.of(), new ToolChoice.None());

  /**
   * @throws InvalidRequestException where two have one name, or the choice is of none of them
   */
  public Tools {
    functions = List.copyOf(functions);
    Set<String> names = new HashSet<>();
    for (Tool tool : functions) {
      if (!names.add(tool.name())) {
        throw new InvalidRequestException("two tools are called %s".formatted(tool.name()));
      }
    }
    boolean possible =
        switch (choice) {
          case ToolChoice.None(), ToolChoice.Auto() -> true;
          case ToolChoice.Required() -> !functions.isEmpty();
          case ToolChoice.Function(String name) -> names.contains(name);
        };
    if (!possible) {
      throw new InvalidRequestException("tool_choice asks for a function that tools does not hold");
    }
  }

  /** With as many calls as the model likes. */
  public Tools(List<Tool> functions, ToolChoice choice) {
    this(functions, choice, true);
  }

  /** No functions. */
  public static Tools none() {
    return NONE;
  }

  /** Functions of which one at least must be called; empty where that is left to the model. */
  public List<Tool> demanded() {
    return switch (choice) {
      case ToolChoice.None(), ToolChoice.Auto() -> List.of();
      case ToolChoice.Required() -> functions;
      case ToolChoice.Function(String name) ->
          functions.stream().filter(tool -> tool.name().equals(name)).toList();
    };
  }
}
