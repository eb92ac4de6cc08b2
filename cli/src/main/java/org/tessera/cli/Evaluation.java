package org.tessera.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntConsumer;
import org.tessera.api.ChatRequest;
import org.tessera.api.GenerationOptions;
import org.tessera.api.Tessera;
import org.tessera.error.GenerationException;
import org.tessera.error.TesseraException;

/** Asks held-out questions, several at the same time, always for the likeliest token. */
final class Evaluation {
  /** As many as the training code's evaluation allows. */
  private static final int MAX_NEW_TOKENS = 48;

  private final Tessera tessera;
  private final int inFlight;

  /**
   * @param inFlight questions that are in work at the same time; 1 measures what an answer takes
   */
  Evaluation(Tessera tessera, int inFlight) {
    this.tessera = tessera;
    this.inFlight = inFlight;
  }

  /**
   * An answer.
   *
   * @param millis from the picture file to the last token
   */
  record Answered(EvaluationQuestion question, String text, double millis) {
    boolean isRight() {
      return text.equals(question.answer());
    }
  }

  /**
   * Asks all questions; answers are in their order.
   *
   * @param progress told how many are answered, now and then
   * @throws TesseraException where a question cannot be answered
   */
  List<Answered> ask(List<EvaluationQuestion> questions, IntConsumer progress) {
    try (ExecutorService threads =
        Executors.newFixedThreadPool(inFlight, Thread.ofVirtual().factory())) {
      List<Future<Answered>> futures =
          questions.stream().map(question -> threads.submit(() -> ask(question))).toList();
      try {
        List<Answered> answers = new ArrayList<>(futures.size());
        for (Future<Answered> future : futures) {
          answers.add(future.get());
          progress.accept(answers.size());
        }
        return answers;
      } catch (ExecutionException e) {
        if (e.getCause() instanceof TesseraException cause) {
          throw cause;
        }
        throw new IllegalStateException(e.getCause());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new GenerationException("the evaluation was interrupted", e);
      } finally {
        threads.shutdownNow();
      }
    }
  }

  private Answered ask(EvaluationQuestion question) {
    long start = System.nanoTime();
    ChatRequest request =
        new ChatRequest(
            MediaFiles.onDisk().messages(question.turns()),
            GenerationOptions.greedy().withMaxNewTokens(MAX_NEW_TOKENS),
            question.input());
    String text = tessera.chat(request).text();
    return new Answered(question, text, (System.nanoTime() - start) / 1e6);
  }
}
