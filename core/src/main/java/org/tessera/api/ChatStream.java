package org.tessera.api;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;
import org.tessera.engine.GenerationListener;
import org.tessera.engine.GenerationResult;
import org.tessera.engine.Replicas.Submission;
import org.tessera.error.GenerationException;
import org.tessera.error.TesseraException;
import org.tessera.sampling.OriginalCompat;
import org.tessera.sampling.StopMatcher;
import org.tessera.sampling.TokenChoice;
import org.tessera.text.Detokenizer;
import org.tessera.text.Tokenizer;

/**
 * Turns the tokens of one generation into text: on the engine's thread it detokenizes, looks for
 * stop strings and queues pieces; the reader takes them from the queue.
 */
final class ChatStream implements TokenStream, GenerationListener {
  /** What the original's tokenizer calls the beginning of a sequence. */
  private static final String BOS_TOKEN = "<|im_start|>";

  private final Tokenizer tokenizer;
  private final Set<Integer> terminators;
  private final Prepared prepared;
  private final boolean wantsLogprobs;
  private final boolean compatOriginal;

  // Touched by the engine's thread alone.
  private final Detokenizer detokenizer;
  private final StopMatcher stopMatcher;
  private final StringBuilder text = new StringBuilder();
  private final List<TokenLogprob> logprobs = new ArrayList<>();
  private final List<TokenLogprob> untold = new ArrayList<>();

  private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
  private final CompletableFuture<ChatResponse> response = new CompletableFuture<>();
  private @Nullable Submission submission;

  /** What the reader takes from the queue. */
  private sealed interface Event {
    record Piece(Delta delta) implements Event {}

    /** The response is complete, with an answer or a failure. */
    record End() implements Event {}
  }

  ChatStream(
      Tokenizer tokenizer, Set<Integer> terminators, Prepared prepared, boolean compatOriginal) {
    GenerationOptions options = prepared.request().options();
    this.tokenizer = tokenizer;
    this.terminators = terminators;
    this.prepared = prepared;
    this.wantsLogprobs = options.logprobs() > 0;
    this.compatOriginal = compatOriginal;
    this.detokenizer = new Detokenizer(tokenizer, /* skipSpecialTokens= */ false);
    this.stopMatcher = new StopMatcher(options.stop());
  }

  /** To be called once, before the stream is handed out. */
  void attach(Submission submission) {
    this.submission = submission;
  }

  @Override
  public boolean onToken(TokenChoice choice) {
    boolean terminated = terminators.contains(choice.tokenId());
    if (wantsLogprobs) {
      logprobs.add(logprob(choice));
      if (!terminated) {
        untold.add(logprobs.getLast());
      }
    }
    if (terminated) {
      return true;
    }
    offer(stopMatcher.push(detokenizer.append(choice.tokenId())));
    return !stopMatcher.stopped();
  }

  @Override
  public void onFinished(GenerationResult result) {
    if (!stopMatcher.stopped()) {
      offer(stopMatcher.push(detokenizer.finish()));
      offer(stopMatcher.finish());
    }
    if (!untold.isEmpty()) {
      tell("");
    }
    response.complete(
        new ChatResponse(
            finalText(result),
            result.tokenIds(),
            prepared.prompt().tokenIds(),
            result.finishReason(),
            new Usage(
                prepared.prompt().tokenIds().size(),
                result.tokenIds().size(),
                prepared.prompt().imageTokens(),
                result.cachedTokens(),
                prepared.request().images().size(),
                result.encodedSlices()),
            timings(result),
            logprobs));
    events.add(new Event.End());
  }

  @Override
  public void onFailed(RuntimeException cause) {
    response.completeExceptionally(
        cause instanceof TesseraException
            ? cause
            : new GenerationException("the answer could not be computed", cause));
    events.add(new Event.End());
  }

  @Override
  public Iterator<String> iterator() {
    Iterator<Delta> deltas = deltas();
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return deltas.hasNext();
      }

      @Override
      public String next() {
        return deltas.next().text();
      }
    };
  }

  @Override
  public Iterator<Delta> deltas() {
    return new Deltas();
  }

  @Override
  public ChatResponse response() {
    try {
      return response.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof TesseraException failure) {
        throw failure;
      }
      throw e;
    }
  }

  @Override
  public void cancel() {
    if (submission != null) {
      submission.cancel();
    }
  }

  @Override
  public void close() {
    cancel();
  }

  private void offer(String piece) {
    if (!piece.isEmpty()) {
      text.append(piece);
      tell(piece);
    }
  }

  private void tell(String piece) {
    events.add(new Event.Piece(new Delta(piece, untold)));
    untold.clear();
  }

  private String finalText(GenerationResult result) {
    if (!compatOriginal || stopMatcher.stopped()) {
      return text.toString().strip();
    }
    List<Integer> kept =
        OriginalCompat.tokensOfAnswer(
            result.tokenIds(), tokenizer.idOf(BOS_TOKEN).orElse(-1), terminators);
    return tokenizer.decode(kept, /* skipSpecialTokens= */ false).strip();
  }

  private Timings timings(GenerationResult result) {
    int laterTokens = result.tokenIds().size() - 1;
    double firstTokenMillis = prepared.millis() + result.firstTokenNanos() / 1e6;
    return new Timings(
        prepared.millis(),
        result.queueNanos() / 1e6,
        result.visionNanos() / 1e6,
        result.prefillNanos() / 1e6,
        firstTokenMillis,
        laterTokens > 0 ? laterTokens / (result.decodeNanos() / 1e9) : 0);
  }

  private TokenLogprob logprob(TokenChoice choice) {
    return new TokenLogprob(
        choice.tokenId(),
        textOf(choice.tokenId()),
        choice.logprob(),
        choice.top().stream()
            .map(top ->
                new TokenLogprob.Alternative(top.tokenId(), textOf(top.tokenId()), top.logprob()))
            .toList());
  }

  private String textOf(int tokenId) {
    return tokenizer.decode(new int[] {tokenId}, /* skipSpecialTokens= */ false);
  }

  /** The reader's side of the queue. */
  private final class Deltas implements Iterator<Delta> {
    private @Nullable Delta next;
    private boolean ended;

    @Override
    public boolean hasNext() {
      if (next == null && !ended) {
        switch (take()) {
          case Event.Piece(Delta delta) -> next = delta;
          case Event.End() -> {
            ended = true;
            response(); // throws what the generation failed with
          }
        }
      }
      return next != null;
    }

    @Override
    public Delta next() {
      if (!hasNext() || next == null) {
        throw new NoSuchElementException();
      }
      Delta delta = next;
      next = null;
      return delta;
    }

    private Event take() {
      try {
        return events.take();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        cancel();
        throw new GenerationException("interrupted while waiting for the next token", e);
      }
    }
  }
}
