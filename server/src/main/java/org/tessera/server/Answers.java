package org.tessera.server;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.tessera.api.ChatResponse;
import org.tessera.api.FinishReason;
import org.tessera.api.GenerationOptions;
import org.tessera.api.TokenStream;
import org.tessera.api.TokenStream.Delta;

/**
 * Runs generations for as long as their client is there: one that hangs up, or does not take what
 * it is sent, ends them, so that they hold no memory of the model any longer.
 */
final class Answers {
  private static final Duration WATCH_INTERVAL = Duration.ofMillis(100);

  private final ServerState state;
  private final ServerLimits limits;
  private final ServerMetrics metrics;

  Answers(ServerState state, ServerLimits limits, ServerMetrics metrics) {
    this.state = state;
    this.limits = limits;
    this.metrics = metrics;
  }

  /** Hears of answers on the thread that serves the request. */
  interface Sink {
    /** The generations have started: from here on a failure is not one of the request. */
    default void started() {}

    void delta(int index, Delta delta);

    void end(int index, ChatResponse response);

    /** Nothing came for a while. */
    default void silence() {}
  }

  private sealed interface Item {
    record Piece(int index, Delta delta) implements Item {}

    record End(int index, ChatResponse response) implements Item {}

    record Failure(RuntimeException cause) implements Item {}
  }

  /**
   * Starts generations and hands on what they answer until all have ended.
   *
   * @param options what they are asked for with
   * @param stalledNanos how long a write has been waiting for the client
   * @throws ClientGoneException where there is nobody to answer any longer
   */
  void run(
      GenerationOptions options,
      Supplier<List<TokenStream>> start,
      Sink sink,
      LongSupplier stalledNanos) {
    state.requireOpen();
    long startNanos = System.nanoTime();
    ClientConnection connection = ClientConnection.CURRENT.get();
    List<TokenStream> streams = start.get();
    metrics.started(streams.size(), options.maxNewTokens());
    streams.forEach(state::add);
    Thread owner = Thread.currentThread();
    Thread watch = Thread.startVirtualThread(() -> watch(connection, streams, owner, stalledNanos));
    try {
      sink.started();
      BlockingQueue<Item> items = new LinkedBlockingQueue<>();
      for (int i = 0; i < streams.size(); i++) {
        int index = i;
        Thread.startVirtualThread(() -> read(index, streams.get(index), items));
      }
      handOn(items, streams.size(), sink, connection, startNanos);
    } finally {
      watch.interrupt();
      streams.forEach(TokenStream::close);
      streams.forEach(state::remove);
    }
  }

  private void handOn(
      BlockingQueue<Item> items,
      int choices,
      Sink sink,
      ClientConnection connection,
      long startNanos) {
    long[] lastNanos = new long[choices];
    boolean first = true;
    int ended = 0;
    while (ended < choices) {
      switch (next(items)) {
        case null -> sink.silence();
        case Item.Piece(int index, Delta delta) -> {
          long now = System.nanoTime();
          if (first) {
            metrics.firstToken(now - startNanos);
            first = false;
          }
          if (lastNanos[index] != 0) {
            metrics.nextToken(now - lastNanos[index]);
          }
          lastNanos[index] = now;
          sink.delta(index, delta);
        }
        case Item.End(int index, ChatResponse response) -> {
          metrics.finished(response, System.nanoTime() - startNanos, index == 0);
          if (response.finishReason() == FinishReason.CANCELLED) {
            throw connection.isConnected()
                ? ApiException.unavailable("the server is shutting down")
                : new ClientGoneException();
          }
          sink.end(index, response);
          ended++;
        }
        case Item.Failure(RuntimeException cause) -> throw cause;
      }
    }
  }

  private @Nullable Item next(BlockingQueue<Item> items) {
    try {
      return items.poll(limits.pingInterval().toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ClientGoneException();
    }
  }

  private static void read(int index, TokenStream stream, BlockingQueue<Item> items) {
    try {
      stream.deltas().forEachRemaining(delta -> items.add(new Item.Piece(index, delta)));
      items.add(new Item.End(index, stream.response()));
    } catch (RuntimeException e) {
      items.add(new Item.Failure(e));
    }
  }

  private void watch(
      ClientConnection connection,
      List<TokenStream> streams,
      Thread owner,
      LongSupplier stalledNanos) {
    connection.watch();
    try {
      while (connection.isConnected()) {
        if (stalledNanos.getAsLong() > limits.writeTimeout().toNanos()) {
          owner.interrupt(); // closes the socket that it waits for
          break;
        }
        Thread.sleep(WATCH_INTERVAL);
      }
      streams.forEach(TokenStream::cancel);
    } catch (InterruptedException e) {
      // The answers have ended.
    }
  }
}
