package org.tessera.guide;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.tessera.error.InvalidRequestException;
import org.tessera.guide.Expression.Rule;

/**
 * Expressions to nodes, from the end to the start: each part is compiled towards the node that
 * follows it, so that several ways can lead into one part without a copy of it.
 */
final class ProgramCompiler {
  /** Bounds time and memory of compiling, whatever the counts in a pattern multiply to. */
  static final int MAX_NODES = 200_000;

  private static final int END_NODE = 0;

  private byte[] operations = new byte[256];
  private byte[] first = new byte[256];
  private byte[] last = new byte[256];
  private int[] out = new int[256];
  private int[] other = new int[256];
  private int nodes;
  private int parts;

  /** The number of each rule; calls hold it until all rules are compiled. */
  private final Map<Rule, Integer> numbers = new IdentityHashMap<>();

  private final List<Rule> rules = new ArrayList<>();

  private ProgramCompiler() {}

  /**
   * The automaton of a grammar.
   *
   * @throws InvalidRequestException where it is too large, matches nothing at all, or a rule starts
   *     with itself
   */
  static Program compile(Expression grammar) {
    ProgramCompiler compiler = new ProgramCompiler();
    compiler.add(Program.END, 0, 0);
    compiler.numberOf(new Rule(grammar));
    int[] starts = new int[16];
    for (int i = 0; i < compiler.rules.size(); i++) { // compiling a rule finds further ones
      if (i == starts.length) {
        starts = Arrays.copyOf(starts, 2 * i);
      }
      starts[i] = compiler.compile(compiler.rules.get(i).body(), END_NODE);
    }
    return compiler.finish(starts);
  }

  private Program finish(int[] starts) {
    for (int i = 0; i < nodes; i++) {
      if (operations[i] == Program.CALL) {
        out[i] = starts[out[i]];
      }
    }
    byte[] classOf = new byte[256];
    byte[] byteOf = byteClasses(classOf);
    Program program =
        new Program(
            Arrays.copyOf(operations, nodes),
            Arrays.copyOf(first, nodes),
            Arrays.copyOf(last, nodes),
            Arrays.copyOf(out, nodes),
            Arrays.copyOf(other, nodes),
            new int[nodes],
            starts[0],
            classOf,
            byteOf);
    ProgramCheck.fillHeights(program);
    if (program.heights()[program.start()] > Program.MAX_DEPTH) {
      throw new InvalidRequestException(
          "the response format cannot be met: no text of finite depth matches it");
    }
    ProgramCheck.refuseLeftRecursion(program);
    return program;
  }

  private int compile(Expression expression, int next) {
    if (++parts > 4 * MAX_NODES) {
      throw tooLarge();
    }
    return switch (expression) {
      case Expression.Chars(CodePoints set) -> bytes(Utf8Ranges.of(set), 0, next);
      case Expression.Sequence(List<Expression> list) -> {
        int start = next;
        for (Expression part : list.reversed()) {
          start = compile(part, start);
        }
        yield start;
      }
      case Expression.AnyOf(List<Expression> options) ->
          branches(options.stream().map(option -> compile(option, next)).toList());
      case Expression.Repeat repeat -> repeat(repeat, next);
      case Expression.Members members -> members(members, next);
      case Expression.Call(Rule rule) -> add(Program.CALL, numberOf(rule), next);
    };
  }

  private int repeat(Expression.Repeat repeat, int next) {
    int start = next;
    int copies = repeat.min();
    if (repeat.max() == Expression.UNBOUNDED) {
      int loop = add(Program.BRANCH, next, next);
      int body = compile(repeat.body(), loop);
      out[loop] = body; // only now, as compiling may have replaced the array
      start = copies == 0 ? loop : body;
      copies--;
    } else {
      for (int i = repeat.min(); i < repeat.max(); i++) {
        start = add(Program.BRANCH, compile(repeat.body(), start), next);
      }
    }
    for (int i = 0; i < copies; i++) {
      start = compile(repeat.body(), start);
    }
    return start;
  }

  /** Two ways through the members: where none has come yet, and where a separator is due. */
  private int members(Expression.Members list, int next) {
    int none = next;
    int some = next;
    for (Expression.Member member : list.members().reversed()) {
      int after = some;
      if (member.repeated()) {
        after = add(Program.BRANCH, some, some);
      }
      int body = compile(member.body(), after);
      int separated = compile(list.separator(), body);
      if (member.repeated()) {
        out[after] = separated;
      }
      some = member.required() ? separated : add(Program.BRANCH, separated, some);
      none = member.required() ? body : add(Program.BRANCH, body, none);
    }
    return none;
  }

  /** Sequences in ascending order; those that begin alike share their beginning. */
  private int bytes(List<int[][]> sequences, int at, int next) {
    List<Integer> starts = new ArrayList<>();
    for (int from = 0; from < sequences.size(); ) {
      int[][] sequence = sequences.get(from);
      if (at == sequence.length) {
        return next;
      }
      int to = from + 1;
      while (to < sequences.size()
          && sequences.get(to).length == sequence.length
          && Arrays.equals(sequences.get(to)[at], sequence[at])) {
        to++;
      }
      int node = add(Program.BYTES, bytes(sequences.subList(from, to), at + 1, next), 0);
      first[node] = (byte) sequence[at][0];
      last[node] = (byte) sequence[at][1];
      starts.add(node);
      from = to;
    }
    return branches(starts);
  }

  private int branches(List<Integer> starts) {
    if (starts.isEmpty()) {
      return add(Program.FAIL, 0, 0);
    }
    int start = starts.getLast();
    for (int i = starts.size() - 2; i >= 0; i--) {
      start = add(Program.BRANCH, starts.get(i), start);
    }
    return start;
  }

  private int numberOf(Rule rule) {
    return numbers.computeIfAbsent(
        rule,
        added -> {
          rules.add(added);
          return rules.size() - 1;
        });
  }

  private int add(byte operation, int outNode, int otherNode) {
    if (nodes == MAX_NODES) {
      throw tooLarge();
    }
    if (nodes == operations.length) {
      operations = Arrays.copyOf(operations, 2 * nodes);
      first = Arrays.copyOf(first, 2 * nodes);
      last = Arrays.copyOf(last, 2 * nodes);
      out = Arrays.copyOf(out, 2 * nodes);
      other = Arrays.copyOf(other, 2 * nodes);
    }
    operations[nodes] = operation;
    out[nodes] = outNode;
    other[nodes] = otherNode;
    return nodes++;
  }

  private byte[] byteClasses(byte[] classOf) {
    boolean[] starts = new boolean[257];
    starts[0] = true;
    for (int i = 0; i < nodes; i++) {
      if (operations[i] == Program.BYTES) {
        starts[first[i] & 0xFF] = true;
        starts[(last[i] & 0xFF) + 1] = true;
      }
    }
    byte[] byteOf = new byte[256];
    int count = 0;
    for (int b = 0; b < 256; b++) {
      if (starts[b]) {
        byteOf[count++] = (byte) b;
      }
      classOf[b] = (byte) (count - 1);
    }
    return Arrays.copyOf(byteOf, count);
  }

  private static InvalidRequestException tooLarge() {
    return new InvalidRequestException(
        "the response format is too large: its automaton would have more than %d nodes; use smaller counts or a smaller schema"
            .formatted(MAX_NODES));
  }
}
