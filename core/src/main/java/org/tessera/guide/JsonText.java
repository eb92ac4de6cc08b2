package org.tessera.guide;

import static org.tessera.guide.Expression.anyOf;
import static org.tessera.guide.Expression.chars;
import static org.tessera.guide.Expression.literal;
import static org.tessera.guide.Expression.optional;
import static org.tessera.guide.Expression.sequence;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import org.tessera.guide.Expression.Call;
import org.tessera.guide.Expression.Chars;
import org.tessera.guide.Expression.Member;
import org.tessera.guide.Expression.Members;
import org.tessera.guide.Expression.Repeat;
import org.tessera.guide.Expression.Rule;

/**
 * The parts of JSON (RFC 8259) as a model may write it. Blanks stand where people put them, after
 * brackets, commas and colons and before closing brackets: none, one space, or a line feed with at
 * most 32 blanks, so that no answer is spent on them. Numbers have at most 18 digits on each side
 * of the point and 3 in the exponent.
 */
final class JsonText {
  static final int MAX_DIGITS = 18;
  private static final int MAX_INDENT = 32;

  /** What must be escaped in a string. */
  private static final CodePoints ESCAPED =
      CodePoints.union(CodePoints.range(0, 0x1F), CodePoints.anyOf("\"\\"));

  private static final Expression HEX = new Chars(CodePoints.HEX);

  /** One character of a string in any of the ways in which JSON writes it. */
  static final Expression CHARACTER = new Call(new Rule(character()));

  static final Expression BLANKS = new Call(new Rule(blanks()));
  static final Expression STRING = string(new Repeat(character(), 0, Expression.UNBOUNDED));
  static final Expression COMMA = sequence(literal(","), BLANKS);
  static final Expression INTEGER =
      anyOf(
          literal("0"),
          sequence(
              optional(literal("-")),
              new Chars(CodePoints.range('1', '9')),
              new Repeat(new Chars(CodePoints.DIGITS), 0, MAX_DIGITS - 1)));
  static final Expression NUMBER = new Call(new Rule(number()));
  static final Expression BOOLEAN = anyOf(literal("true"), literal("false"));
  static final Expression NULL = literal("null");

  /** Any value, whose arrays and objects nest up to {@link Program#MAX_DEPTH}. */
  static final Expression VALUE = value();

  static final Expression ARRAY = array(new Member(VALUE, false, true));
  static final Expression OBJECT = object(new Member(pair(STRING, VALUE), false, true));

  private JsonText() {}

  /** A string that holds exactly the given JSON text between its quotes. */
  static Expression string(Expression content) {
    return sequence(literal("\""), content, literal("\""));
  }

  /** A string of exactly this text. */
  static Expression string(String text) {
    return string(escaped(literal(text)));
  }

  static Expression pair(Expression name, Expression value) {
    return sequence(name, literal(":"), BLANKS, value);
  }

  static Expression object(Member... members) {
    return object(List.of(members));
  }

  static Expression object(List<Member> members) {
    return sequence(literal("{"), BLANKS, new Members(members, COMMA), BLANKS, literal("}"));
  }

  static Expression array(Member... items) {
    return array(new Members(List.of(items), COMMA));
  }

  static Expression array(Expression items) {
    return sequence(literal("["), BLANKS, items, BLANKS, literal("]"));
  }

  /** Text as it stands in a JSON string, each character in its shortest form. */
  static Expression escaped(Expression text) {
    return text.mapChars(JsonText::escaped);
  }

  /** A string, each character in its shortest form, that is none of these. */
  static Expression stringOtherThan(Iterable<String> texts) {
    Names root = new Names();
    for (String text : texts) {
      Names at = root;
      for (int c : text.codePoints().toArray()) {
        at = at.next.computeIfAbsent(c, key -> new Names());
      }
      at.ends = true;
    }
    Expression rest =
        new Call(new Rule(new Repeat(escaped(CodePoints.ALL), 0, Expression.UNBOUNDED)));
    return string(root.others(rest));
  }

  /** Beginnings of texts. */
  private static final class Names {
    private final TreeMap<Integer, Names> next = new TreeMap<>();
    private boolean ends;

    Expression others(Expression rest) {
      List<Expression> options = new ArrayList<>();
      if (!ends) {
        options.add(Expression.EMPTY);
      }
      CodePoints others = CodePoints.ALL;
      for (var child : next.entrySet()) {
        CodePoints c = CodePoints.of(child.getKey());
        others = others.minus(c);
        options.add(sequence(escaped(c), child.getValue().others(rest)));
      }
      options.add(sequence(escaped(others), rest));
      return new Expression.AnyOf(options);
    }
  }

  private static Expression escaped(CodePoints set) {
    List<Expression> options = new ArrayList<>();
    options.add(new Chars(set.minus(ESCAPED)));
    for (CodePoints.Range range : set.intersect(ESCAPED).ranges()) {
      for (int c = range.first(); c <= range.last(); c++) {
        options.add(literal(escape(c)));
      }
    }
    return new Expression.AnyOf(options);
  }

  private static String escape(int c) {
    return switch (c) {
      case '"' -> "\\\"";
      case '\\' -> "\\\\";
      case '\b' -> "\\b";
      case '\f' -> "\\f";
      case '\n' -> "\\n";
      case '\r' -> "\\r";
      case '\t' -> "\\t";
      default -> String.format(Locale.ROOT, "\\u%04x", c);
    };
  }

  private static Expression character() {
    Expression high = sequence(chars("dD"), chars("89abAB"), HEX, HEX);
    Expression low = sequence(chars("dD"), chars("cdefCDEF"), HEX, HEX);
    Expression inPlane =
        anyOf(
            sequence(new Chars(CodePoints.HEX.minus(CodePoints.anyOf("dD"))), HEX, HEX, HEX),
            sequence(chars("dD"), chars("01234567"), HEX, HEX));
    Expression escape =
        anyOf(
            chars("\"\\/bfnrt"),
            sequence(literal("u"), inPlane),
            sequence(literal("u"), high, literal("\\u"), low));
    return anyOf(new Chars(ESCAPED.complement()), sequence(literal("\\"), escape));
  }

  private static Expression blanks() {
    return optional(
        anyOf(literal(" "), sequence(literal("\n"), new Repeat(chars(" \t"), 0, MAX_INDENT))));
  }

  private static Expression number() {
    Expression digit = new Chars(CodePoints.DIGITS);
    return sequence(
        optional(literal("-")),
        anyOf(
            literal("0"),
            sequence(new Chars(CodePoints.range('1', '9')), new Repeat(digit, 0, MAX_DIGITS - 1))),
        optional(sequence(literal("."), new Repeat(digit, 1, MAX_DIGITS))),
        optional(sequence(chars("eE"), optional(chars("+-")), new Repeat(digit, 1, 3))));
  }

  private static Expression value() {
    Rule rule = new Rule();
    Expression call = new Call(rule);
    rule.define(
        anyOf(
            STRING,
            NUMBER,
            BOOLEAN,
            NULL,
            object(new Member(pair(STRING, call), false, true)),
            array(new Member(call, false, true))));
    return call;
  }
}
