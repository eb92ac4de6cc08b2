package org.tessera.engine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.kv.BlockPool;

/**
 * Decides what the next step computes. Generations run in the order of their arrival; where the
 * cache is full the latest one gives its blocks back and is computed again later.
 */
final class Scheduler {
  private final BlockPool pool;
  private final EngineOptions options;
  private final ModelRunner runner;
  private final Deque<Generation> waiting = new ArrayDeque<>();
  private final List<Generation> running = new ArrayList<>();
  private final CountRows countRows;
  private long queriedTokens;
  private long cachedTokens;
  private long preemptions;

  Scheduler(BlockPool pool, EngineOptions options, ModelRunner runner) {
    this.pool = pool;
    this.options = options;
    this.runner = runner;
    countRows = new CountRows(options.maxRunning());
  }

  void enqueue(Generation generation) {
    waiting.addLast(generation);
  }

  void remove(Generation generation) {
    running.remove(generation);
    waiting.remove(generation);
    generation.decoding.suspend();
  }

  boolean isIdle() {
    return running.isEmpty() && waiting.isEmpty();
  }

  /** All generations, running ones first. */
  List<Generation> all() {
    List<Generation> all = new ArrayList<>(running);
    all.addAll(waiting);
    return all;
  }

  /** Lets waiting generations in while there is room for their prompts, the earliest first. */
  void admit() {
    while (!waiting.isEmpty() && running.size() < options.maxRunning()) {
      Generation next = waiting.getFirst();
      if (running.stream().anyMatch(other -> other.isComputingPromptOf(next))) {
        return; // its prompt will be in the cache soon
      }
      int needed = 0;
      for (Sequence sequence : next.sequences) {
        needed += Math.ceilDiv(sequence.tokens.length() + 1, pool.blockRows());
      }
      if (needed > pool.availableBlocks() && !running.isEmpty()) {
        return;
      }
      running.add(waiting.removeFirst());
      next.decoding.resume(countRows);
      for (Sequence sequence : next.sequences) {
        sequence.computed = sequence.lease.leasePrefix(sequence.tokens);
      }
      if (next.tokenIds.isEmpty()) {
        next.noteAdmitted();
        queriedTokens += next.promptTokens;
        cachedTokens += next.cachedTokens;
      }
    }
  }

  EngineStats stats() {
    return new EngineStats(
        running.size(),
        waiting.size(),
        pool.blockCount(),
        pool.blockCount() - pool.availableBlocks(),
        queriedTokens,
        cachedTokens,
        preemptions);
  }

  /** The earliest generation whose pictures must be encoded before its next chunk, or null. */
  @Nullable Generation nextToEncode() {
    for (Generation generation : running) {
      if (generation.features.isMissingFrom(generation.firstPendingPosition())) {
        return generation;
      }
    }
    return null;
  }

  /**
   * Positions to compute now; generations that found no room while nothing else runs are starved.
   *
   * @param withPrompts whether prompts go on too where there are answers to continue
   */
  Plan plan(boolean withPrompts) {
    Step step = new Step();
    List<Generation> starved = new ArrayList<>();
    int budget = prefillBudget(withPrompts);
    for (Generation generation : List.copyOf(running)) {
      if (!running.contains(generation)
          || generation.features.isMissingFrom(generation.firstPendingPosition())) {
        continue;
      }
      for (Sequence sequence : generation.sequences) {
        int pending = sequence.pending();
        // A single position is the next token of a running answer: it never waits for the budget.
        int take = pending == 1 ? 1 : Math.min(pending, budget);
        if (take == 0) {
          continue;
        }
        if (!makeRoom(generation, sequence, sequence.computed + take)) {
          step.removeAll(generation);
          if (running.size() == 1 && running.contains(generation)) {
            starved.add(generation);
          } else {
            preempt(generation);
          }
          break;
        }
        budget -= pending == 1 ? 0 : take;
        step.add(new Step.Chunk(generation, sequence, sequence.computed, sequence.computed + take));
      }
    }
    return new Plan(step, starved);
  }

  /** Whether some generation waits for nothing but its next token. */
  boolean continuesAnswers() {
    return answers() > 0;
  }

  private int answers() {
    int answers = 0;
    for (Generation generation : running) {
      for (Sequence sequence : generation.sequences) {
        answers += sequence.pending() == 1 ? 1 : 0;
      }
    }
    return answers;
  }

  /** Prompt positions that a step may hold: fewer where answers wait for its end. */
  private int prefillBudget(boolean withPrompts) {
    int answers = answers();
    if (answers == 0) {
      return options.prefillRows();
    }
    return withPrompts
        ? Math.min(options.prefillRows(), Math.max(answers, options.mixedPrefillRows()))
        : 0;
  }

  /** A step, and the generations that the whole cache cannot hold any longer. */
  record Plan(Step step, List<Generation> starved) {}

  private boolean makeRoom(Generation generation, Sequence sequence, int positions) {
    while (!sequence.lease.reserve(positions)) {
      Generation latest = running.getLast();
      if (latest == generation) {
        return false;
      }
      preempt(latest);
    }
    return true;
  }

  private void preempt(Generation generation) {
    preemptions++;
    running.remove(generation);
    generation.decoding.suspend();
    generation.sequences.forEach(sequence -> sequence.evict(pool));
    generation.features.release(runner);
    waiting.addFirst(generation);
  }
}
