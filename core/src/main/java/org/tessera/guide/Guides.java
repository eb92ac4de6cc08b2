package org.tessera.guide;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ResponseFormat;
import org.tessera.error.InvalidRequestException;
import org.tessera.text.Tokenizer;
import org.tessera.tools.Tool;
import org.tessera.tools.ToolChoice;
import org.tessera.tools.ToolPrompt;
import org.tessera.tools.Tools;

/**
 * The guides of one model, the last ones kept: a schema that comes again costs nothing. Safe for
 * any number of threads.
 */
public final class Guides {
  private static final int MAX_KEPT = 32;

  /** Of one answer that must call functions. */
  private static final int MAX_CALLS = 16;

  /** Of all choices together. */
  private static final int MAX_CHOICE_CHARACTERS = 1 << 16;

  private final Tokenizer tokenizer;
  private final Set<Integer> terminators;
  private final int vocabSize;
  private @Nullable TokenTrie trie;

  @SuppressWarnings("serial") // never serialized
  private final Map<Object, Guide> kept =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Object, Guide> eldest) {
          return size() > MAX_KEPT;
        }
      };

  /**
   * @param terminators token ids that end an answer, at least one
   * @param vocabSize logits in a row
   */
  public Guides(Tokenizer tokenizer, Set<Integer> terminators, int vocabSize) {
    if (terminators.isEmpty()) {
      throw new IllegalArgumentException("an answer that must be whole needs a way to end");
    }
    this.tokenizer = tokenizer;
    this.terminators = Set.copyOf(terminators);
    this.vocabSize = vocabSize;
  }

  /**
   * The guide of a format; none of any text.
   *
   * @throws InvalidRequestException where the format is not supported, too large or cannot be met
   */
  public Optional<Guide> of(ResponseFormat format) {
    return switch (format) {
      case ResponseFormat.Text() -> Optional.empty();
      case ResponseFormat.JsonObject() -> Optional.of(guide(format, () -> JsonText.OBJECT));
      case ResponseFormat.JsonSchema(String schema) ->
          Optional.of(guide(format, () -> SchemaCompiler.compile(schema)));
      case ResponseFormat.Regex(String pattern) ->
          Optional.of(guide(format, () -> RegexParser.full(pattern)));
      case ResponseFormat.Choice(List<String> options) ->
          Optional.of(guide(format, () -> choice(options)));
    };
  }

  /**
   * The guide of calls of the functions that are demanded, at least one: one call where the choice
   * is of one function or calls are not parallel, else one or more.
   */
  public Guide of(Tools tools) {
    List<Tool> demanded = tools.demanded();
    boolean several = tools.parallelCalls() && tools.choice() instanceof ToolChoice.Required;
    return guide(List.of(demanded, several), () -> calls(demanded, several));
  }

  private static Expression calls(List<Tool> demanded, boolean several) {
    Expression call =
        new Expression.Call(
            new Expression.Rule(
                new Expression.AnyOf(demanded.stream().map(Guides::call).toList())));
    if (!several) {
      return call;
    }
    Expression more = Expression.sequence(Expression.literal("\n"), call);
    return Expression.sequence(call, new Expression.Repeat(more, 0, MAX_CALLS - 1));
  }

  private static Expression call(Tool tool) {
    Expression arguments =
        tool.parameters().strip().equals("{}")
            ? JsonText.OBJECT
            : SchemaCompiler.compile(tool.parameters());
    return Expression.sequence(
        Expression.literal(
            "%s\n{\"name\": \"%s\", \"arguments\": ".formatted(ToolPrompt.CALL_START, tool.name())),
        arguments,
        Expression.literal("}\n" + ToolPrompt.CALL_END));
  }

  private static Expression choice(List<String> options) {
    if (options.stream().mapToLong(String::length).sum() > MAX_CHOICE_CHARACTERS) {
      throw new InvalidRequestException(
          "the choices have more than %d characters together".formatted(MAX_CHOICE_CHARACTERS));
    }
    return new Expression.AnyOf(options.stream().map(Expression::literal).toList());
  }

  private Guide guide(Object key, Supplier<Expression> grammar) {
    synchronized (kept) {
      Guide guide = kept.get(key);
      if (guide != null) {
        return guide;
      }
    }
    Guide guide = new Guide(grammar.get(), tokenizer, trie(), terminators);
    synchronized (kept) {
      kept.put(key, guide);
    }
    return guide;
  }

  /** Made when it is first needed: it takes a second or less with the real vocabulary. */
  private synchronized TokenTrie trie() {
    TokenTrie made = trie;
    if (made == null) {
      made = new TokenTrie(tokenizer, vocabSize);
      trie = made;
    }
    return made;
  }
}
