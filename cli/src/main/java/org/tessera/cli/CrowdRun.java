package org.tessera.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What clients who all asked at the same moment heard, each on a virtual thread.
 *
 * @param seconds from that moment to the end of the last answer
 * @param firstTokenSeconds from that moment to the first piece of each answer
 * @param gapSeconds between the pieces of an answer that follow one another, of all answers
 * @param cachedTokens of all prompts together that were in the cache already
 * @param newTokens of all answers together
 */
record CrowdRun(
    double seconds,
    List<Double> firstTokenSeconds,
    List<Double> gapSeconds,
    long cachedTokens,
    long newTokens) {
  CrowdRun {
    firstTokenSeconds = List.copyOf(firstTokenSeconds);
    gapSeconds = List.copyOf(gapSeconds);
  }

  /** A client that has all it needs to ask. */
  @FunctionalInterface
  interface Client {
    /**
     * Asks and reads the answer to its end.
     *
     * @param piece told of each piece of text as it comes
     */
    Tokens ask(Runnable piece) throws Exception;
  }

  /** Tokens of one prompt that were in the cache, and those of its answer. */
  record Tokens(int cached, int completion) {}

  /** When the pieces of an answer came, and its end. */
  private record Heard(List<Long> pieceNanos, long endNanos, Tokens tokens) {}

  /**
   * Lets all clients ask at once and waits for all of them.
   *
   * @throws Exception what the first client failed with
   */
  static CrowdRun of(List<Client> clients) throws Exception {
    CountDownLatch start = new CountDownLatch(1);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Heard>> answers =
          clients.stream().map(client -> threads.submit(() -> ask(client, start))).toList();
      long startNanos = System.nanoTime();
      start.countDown();
      List<Heard> heard = new ArrayList<>();
      for (Future<Heard> answer : answers) {
        heard.add(answer.get());
      }
      return of(startNanos, heard);
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    }
  }

  private static Heard ask(Client client, CountDownLatch start) throws Exception {
    List<Long> pieceNanos = new ArrayList<>();
    start.await();
    Tokens tokens = client.ask(() -> pieceNanos.add(System.nanoTime()));
    return new Heard(pieceNanos, System.nanoTime(), tokens);
  }

  private static CrowdRun of(long startNanos, List<Heard> heard) {
    List<Double> first = new ArrayList<>();
    List<Double> gaps = new ArrayList<>();
    for (Heard answer : heard) {
      List<Long> nanos = answer.pieceNanos();
      if (!nanos.isEmpty()) {
        first.add((nanos.getFirst() - startNanos) / 1e9);
      }
      for (int i = 1; i < nanos.size(); i++) {
        gaps.add((nanos.get(i) - nanos.get(i - 1)) / 1e9);
      }
    }
    long endNanos = heard.stream().mapToLong(Heard::endNanos).max().orElse(startNanos);
    return new CrowdRun(
        (endNanos - startNanos) / 1e9,
        first,
        gaps,
        heard.stream().mapToLong(answer -> answer.tokens().cached()).sum(),
        heard.stream().mapToLong(answer -> answer.tokens().completion()).sum());
  }
}
