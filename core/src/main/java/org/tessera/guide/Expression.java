package org.tessera.guide;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A language over Unicode text: a regular expression whose parts may call named rules. */
sealed interface Expression {
  int UNBOUNDED = -1;

  Expression EMPTY = new Sequence(List.of());

  /** One character of a set. */
  record Chars(CodePoints set) implements Expression {}

  /** All parts, one after the other. */
  record Sequence(List<Expression> parts) implements Expression {
    public Sequence {
      parts = List.copyOf(parts);
    }
  }

  /** One of the options; of none, nothing at all matches. */
  record AnyOf(List<Expression> options) implements Expression {
    public AnyOf {
      options = List.copyOf(options);
    }
  }

  /**
   * The body {@code min} to {@code max} times.
   *
   * @param max or {@link #UNBOUNDED}
   */
  record Repeat(Expression body, int min, int max) implements Expression {}

  /** Members in their order with a separator between those that are there. */
  record Members(List<Member> members, Expression separator) implements Expression {
    public Members {
      members = List.copyOf(members);
    }
  }

  /**
   * @param required whether it must be there
   * @param repeated whether it may be there several times
   */
  record Member(Expression body, boolean required, boolean repeated) {}

  /** What a rule matches; rules may call themselves. */
  record Call(Rule rule) implements Expression {}

  /** A named part of a grammar, whose body may be given after it is called. */
  final class Rule {
    private @Nullable Expression body;

    Rule() {}

    Rule(Expression body) {
      this.body = body;
    }

    void define(Expression definition) {
      body = definition;
    }

    Expression body() {
      if (body == null) {
        throw new IllegalStateException("a rule is called that has no body");
      }
      return body;
    }
  }

  static Expression sequence(Expression... parts) {
    return new Sequence(Arrays.asList(parts));
  }

  static Expression anyOf(Expression... options) {
    return new AnyOf(Arrays.asList(options));
  }

  static Expression chars(String characters) {
    return new Chars(CodePoints.anyOf(characters));
  }

  static Expression literal(String text) {
    return new Sequence(
        text.codePoints().<Expression>mapToObj(c -> new Chars(CodePoints.of(c))).toList());
  }

  static Expression optional(Expression body) {
    return new Repeat(body, 0, 1);
  }

  /** The same with every set of characters replaced. Rules that it calls stay as they are. */
  default Expression mapChars(Function<CodePoints, Expression> change) {
    return switch (this) {
      case Chars(CodePoints set) -> change.apply(set);
      case Sequence(List<Expression> parts) ->
          new Sequence(parts.stream().map(part -> part.mapChars(change)).toList());
      case AnyOf(List<Expression> options) ->
          new AnyOf(options.stream().map(option -> option.mapChars(change)).toList());
      case Repeat(Expression body, int min, int max) -> new Repeat(body.mapChars(change), min, max);
      case Members(List<Member> members, Expression separator) ->
          new Members(
              members.stream()
                  .map(m -> new Member(m.body().mapChars(change), m.required(), m.repeated()))
                  .toList(),
              separator.mapChars(change));
      case Call call -> call;
    };
  }
}
