package org.tessera.guide;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import org.tessera.error.InvalidRequestException;

/** What must be known of a program before it runs. */
final class ProgramCheck {
  private ProgramCheck() {}

  /** Fills {@link Program#heights}, from the ends of the rules backwards. */
  static void fillHeights(Program program) {
    int nodes = program.operations().length;
    int[] heights = program.heights();
    Arrays.fill(heights, Program.UNREACHABLE);
    // Predecessors of each node, as linked lists in arrays: node i is behind edges 2i and 2i + 1.
    int[] head = new int[nodes];
    int[] nextEdge = new int[2 * nodes];
    Arrays.fill(head, -1);
    for (int i = 0; i < nodes; i++) {
      byte operation = program.operations()[i];
      if (operation == Program.END || operation == Program.FAIL) {
        continue;
      }
      nextEdge[2 * i] = head[program.out()[i]];
      head[program.out()[i]] = 2 * i;
      if (operation != Program.BYTES) {
        nextEdge[2 * i + 1] = head[program.other()[i]];
        head[program.other()[i]] = 2 * i + 1;
      }
    }
    Deque<Integer> changed = new ArrayDeque<>();
    for (int i = 0; i < nodes; i++) {
      if (program.operations()[i] == Program.END) {
        heights[i] = 0;
        changed.add(i);
      }
    }
    while (!changed.isEmpty()) {
      int node = changed.remove();
      for (int edge = head[node]; edge >= 0; edge = nextEdge[edge]) {
        int before = edge / 2;
        int height = height(program, before);
        if (height < heights[before]) {
          heights[before] = height;
          changed.add(before);
        }
      }
    }
  }

  private static int height(Program program, int node) {
    int[] heights = program.heights();
    int out = heights[program.out()[node]];
    int other = heights[program.other()[node]];
    int height =
        switch (program.operations()[node]) {
          case Program.BYTES -> out;
          case Program.BRANCH -> Math.min(out, other);
          default -> Math.max(1 + out, other);
        };
    return height > Program.MAX_DEPTH ? Program.UNREACHABLE : height;
  }

  /** A rule that calls itself before any byte would be called for ever. */
  static void refuseLeftRecursion(Program program) {
    BitSet nullable = nullableRules(program);
    BitSet done = new BitSet();
    BitSet open = new BitSet();
    visit(program, program.start(), nullable, open, done);
    for (int i = 0; i < program.operations().length; i++) {
      if (program.operations()[i] == Program.CALL) {
        visit(program, program.out()[i], nullable, open, done);
      }
    }
  }

  /** Start nodes of the rules that match the empty text. */
  private static BitSet nullableRules(Program program) {
    BitSet starts = new BitSet();
    for (int i = 0; i < program.operations().length; i++) {
      if (program.operations()[i] == Program.CALL) {
        starts.set(program.out()[i]);
      }
    }
    BitSet nullable = new BitSet();
    boolean grown = true;
    while (grown) {
      grown = false;
      for (int start = starts.nextSetBit(0); start >= 0; start = starts.nextSetBit(start + 1)) {
        if (!nullable.get(start) && reachable(program, start, nullable).get(0)) {
          nullable.set(start);
          grown = true;
        }
      }
    }
    return nullable;
  }

  /** Nodes reached from a rule's start before any byte. Node 0 is the one end. */
  private static BitSet reachable(Program program, int start, BitSet nullable) {
    BitSet reached = new BitSet();
    Deque<Integer> pending = new ArrayDeque<>();
    pending.push(start);
    while (!pending.isEmpty()) {
      int node = pending.pop();
      if (reached.get(node)) {
        continue;
      }
      reached.set(node);
      switch (program.operations()[node]) {
        case Program.BRANCH -> {
          pending.push(program.out()[node]);
          pending.push(program.other()[node]);
        }
        case Program.CALL -> {
          if (nullable.get(program.out()[node])) {
            pending.push(program.other()[node]);
          }
        }
        default -> {}
      }
    }
    return reached;
  }

  private static void visit(Program program, int start, BitSet nullable, BitSet open, BitSet done) {
    if (done.get(start)) {
      return;
    }
    if (open.get(start)) {
      throw new InvalidRequestException(
          "the schema refers to itself with nothing in between, so that it describes no value");
    }
    if (open.cardinality() > Program.MAX_DEPTH) {
      throw new InvalidRequestException(
          "the schema has a chain of more than %d references".formatted(Program.MAX_DEPTH));
    }
    open.set(start);
    BitSet reached = reachable(program, start, nullable);
    for (int node = reached.nextSetBit(0); node >= 0; node = reached.nextSetBit(node + 1)) {
      if (program.operations()[node] == Program.CALL) {
        visit(program, program.out()[node], nullable, open, done);
      }
    }
    open.clear(start);
    done.set(start);
  }
}
