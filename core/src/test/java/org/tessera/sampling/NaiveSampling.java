package org.tessera.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tessera.api.GenerationOptions;

/** The rules of sampling written down one after the other, with no regard to speed. */
final class NaiveSampling {
  private NaiveSampling() {}

  static double[] distribution(
      float[] logits, GenerationOptions options, Set<Integer> terminators, int[] history) {
    double[] scores = IntStream.range(0, logits.length).mapToDouble(id -> logits[id]).toArray();
    for (int id : Arrays.stream(history).boxed().collect(Collectors.toSet())) {
      double penalty = options.repetitionPenalty();
      scores[id] = (float) (scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty);
      long count = Arrays.stream(history).filter(other -> other == id).count();
      scores[id] -= options.presencePenalty() + options.frequencyPenalty() * count;
    }
    if (history.length < options.minNewTokens()) {
      terminators.forEach(id -> scores[id] = Double.NEGATIVE_INFINITY);
    }
    List<Integer> ascending = new ArrayList<>();
    IntStream.range(0, scores.length).forEach(ascending::add);
    ascending.sort(Comparator.comparingDouble(id -> scores[id]));
    if (options.topK() > 0 && options.topK() < scores.length) {
      double kth = scores[ascending.get(scores.length - options.topK())];
      ascending.removeIf(id -> scores[id] < kth);
    }
    if (options.topP() < 1) {
      double[] probabilities = softmax(ascending, scores, options.temperature());
      double cumulative = 0;
      List<Integer> dropped = new ArrayList<>();
      for (int id : ascending.subList(0, ascending.size() - 1)) {
        cumulative += probabilities[id];
        if (cumulative <= 1 - (double) options.topP()) {
          dropped.add(id);
        }
      }
      ascending.removeAll(dropped);
    }
    return softmax(ascending, scores, options.temperature());
  }

  private static double[] softmax(List<Integer> ids, double[] scores, double temperature) {
    double max = ids.stream().mapToDouble(id -> scores[id]).max().orElseThrow();
    double[] weights = new double[scores.length];
    ids.forEach(id -> weights[id] = Math.exp((scores[id] - max) / temperature));
    double sum = Arrays.stream(weights).sum();
    return Arrays.stream(weights).map(weight -> weight / sum).toArray();
  }
}
