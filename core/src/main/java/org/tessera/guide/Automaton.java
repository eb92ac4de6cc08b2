package org.tessera.guide;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tessera.error.InvalidRequestException;

/**
 * Runs a {@link Program}: its deterministic states are found when they are first needed and kept,
 * up to a limit at which all are forgotten. From each state an end can be reached: a byte after
 * which none could is refused. For one thread at a time.
 */
final class Automaton {
  /** Together with their transitions some tens of megabytes at most. */
  private static final int MAX_KEPT_ITEMS = 1 << 19;

  private static final int MAX_KEPT_STATES = 1 << 14;

  /** Ways to read the same text at once; a further one is too ambiguous to follow. */
  private static final int MAX_ITEMS_A_STATE = 1 << 14;

  /** What comes after the rule in work. Equal stacks are one object. */
  private record Frame(int returnNode, @Nullable Frame parent, int depth, long id) {}

  private record FrameKey(int returnNode, long parentId) {}

  /** All places in the grammar at which the text so far may be. Equal ones are equal. */
  static final class State {
    private final int[] nodes;
    private final @Nullable Frame[] frames;
    private final boolean accepting;
    private final int hash;
    private final @Nullable State[] next;

    private State(int[] nodes, @Nullable Frame[] frames, boolean accepting, int classes) {
      this.nodes = nodes;
      this.frames = frames;
      this.accepting = accepting;
      int sum = Boolean.hashCode(accepting);
      for (int i = 0; i < nodes.length; i++) {
        sum = 31 * (31 * sum + nodes[i]) + System.identityHashCode(frames[i]);
      }
      hash = sum;
      next = new State[classes];
    }

    /** Whether the text may end here. */
    boolean accepting() {
      return accepting;
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(@Nullable Object object) {
      if (!(object instanceof State other)
          || hash != other.hash
          || accepting != other.accepting
          || !Arrays.equals(nodes, other.nodes)) {
        return false;
      }
      for (int i = 0; i < frames.length; i++) {
        if (frames[i] != other.frames[i]) {
          return false;
        }
      }
      return true;
    }
  }

  private final Program program;
  private final State dead;
  private final State start;

  private final Map<State, State> states = new HashMap<>();
  private final Map<FrameKey, Frame> frames = new HashMap<>();
  private int keptItems;
  private long nextFrameId;
  private long work;

  // The state being made.
  private int[] itemNodes = new int[64];
  private @Nullable Frame[] itemFrames = new Frame[64];
  private int items;
  private boolean accepting;
  private final Set<Item> seen = new HashSet<>();
  private int[] pendingNodes = new int[64];
  private @Nullable Frame[] pendingFrames = new Frame[64];
  private int pending;

  private record Item(int node, long frameId) {}

  Automaton(Program program) {
    this.program = program;
    dead = new State(new int[0], new Frame[0], false, 0);
    begin();
    close(program.start(), null);
    start = intern();
  }

  /** Before any byte. */
  State start() {
    return start;
  }

  /** Items looked at so far: a measure of time that is the same on every machine. */
  long work() {
    return work;
  }

  /**
   * After one more byte, or null where no match goes on with it.
   *
   * @throws InvalidRequestException where the grammar is too ambiguous to follow
   */
  @Nullable State next(State state, int unsignedByte) {
    int byteClass = program.classOf()[unsignedByte] & 0xFF;
    State next = state.next[byteClass];
    if (next == null) {
      next = step(state, unsignedByte);
      state.next[byteClass] = next;
    }
    return next == dead ? null : next;
  }

  private State step(State state, int unsignedByte) {
    begin();
    work += state.nodes.length;
    for (int i = 0; i < state.nodes.length; i++) {
      int node = state.nodes[i];
      if (program.matches(node, unsignedByte)) {
        close(program.out()[node], state.frames[i]);
      }
    }
    return items == 0 && !accepting ? dead : intern();
  }

  private void begin() {
    items = 0;
    accepting = false;
    seen.clear();
  }

  /** Adds all nodes that wait for a byte and are reached from here without one. */
  private void close(int firstNode, @Nullable Frame firstFrame) {
    push(firstNode, firstFrame);
    while (pending > 0) {
      int node = pendingNodes[--pending];
      Frame frame = pendingFrames[pending];
      switch (program.operations()[node]) {
        case Program.BYTES -> addItem(node, frame);
        case Program.BRANCH -> {
          push(program.other()[node], frame);
          push(program.out()[node], frame);
        }
        case Program.CALL -> {
          int after = program.other()[node];
          if (isAlive(after, frame)) {
            push(program.out()[node], frame(after, frame));
          }
        }
        case Program.END -> {
          if (frame == null) {
            accepting = true;
          } else {
            push(frame.returnNode(), frame.parent());
          }
        }
        default -> {}
      }
    }
  }

  private void push(int node, @Nullable Frame frame) {
    if (!isAlive(node, frame) || !seen.add(new Item(node, frame == null ? -1 : frame.id()))) {
      return;
    }
    work++;
    if (seen.size() > 4 * MAX_ITEMS_A_STATE) {
      throw tooAmbiguous();
    }
    if (pending == pendingNodes.length) {
      pendingNodes = Arrays.copyOf(pendingNodes, 2 * pending);
      pendingFrames = Arrays.copyOf(pendingFrames, 2 * pending);
    }
    pendingNodes[pending] = node;
    pendingFrames[pending++] = frame;
  }

  private boolean isAlive(int node, @Nullable Frame frame) {
    return (frame == null ? 0 : frame.depth()) + program.heights()[node] <= Program.MAX_DEPTH;
  }

  private void addItem(int node, @Nullable Frame frame) {
    if (items == MAX_ITEMS_A_STATE) {
      throw tooAmbiguous();
    }
    if (items == itemNodes.length) {
      itemNodes = Arrays.copyOf(itemNodes, 2 * items);
      itemFrames = Arrays.copyOf(itemFrames, 2 * items);
    }
    itemNodes[items] = node;
    itemFrames[items++] = frame;
  }

  private Frame frame(int returnNode, @Nullable Frame parent) {
    return frames.computeIfAbsent(
        new FrameKey(returnNode, parent == null ? -1 : parent.id()),
        key ->
            new Frame(returnNode, parent, parent == null ? 1 : parent.depth() + 1, nextFrameId++));
  }

  private State intern() {
    State state =
        new State(
            Arrays.copyOf(itemNodes, items),
            Arrays.copyOf(itemFrames, items),
            accepting,
            program.byteOf().length);
    State known = states.get(state);
    if (known != null) {
      return known;
    }
    if (states.size() >= MAX_KEPT_STATES || keptItems + items > MAX_KEPT_ITEMS) {
      // Those still in use stay reachable from where they are used; the others are garbage now.
      states.clear();
      frames.clear();
      keptItems = 0;
    }
    keptItems += items;
    states.put(state, state);
    return state;
  }

  static InvalidRequestException tooAmbiguous() {
    return new InvalidRequestException(
        "the response format is too ambiguous: the same text can match it in too many ways");
  }
}
