package org.tessera.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TopKTest {
  private record Scored(float score, int id) {}

  @Test
  void keepsTheFirstOfAStableSort() {
    Random random = new Random(1);
    for (int round = 0; round < 1000; round++) {
      int capacity = 1 + random.nextInt(20);
      TopK topK = new TopK(capacity);
      for (int use = 0; use < 2; use++) {
        topK.clear();
        List<Scored> all = new ArrayList<>();
        int rows = 1 + random.nextInt(3);
        for (int row = 0; row < rows; row++) {
          float base = random.nextInt(5) - 2;
          float[] scores = new float[random.nextInt(40)];
          int firstId = all.size();
          for (int i = 0; i < scores.length; i++) {
            scores[i] = random.nextInt(8) == 0 ? Float.NEGATIVE_INFINITY : random.nextInt(7) - 3;
            all.add(new Scored(scores[i] + base, firstId + i));
          }
          topK.offerAll(scores, base, firstId);
        }
        all.sort(Comparator.comparing(Scored::score).reversed());
        topK.sort();

        List<Scored> kept =
            IntStream.range(0, topK.size())
                .mapToObj(rank -> new Scored(topK.score(rank), topK.id(rank)))
                .toList();
        assertThat(kept).isEqualTo(all.subList(0, Math.min(capacity, all.size())));
        if (!kept.isEmpty()) {
          assertThat(topK.worst()).isEqualTo(kept.getLast().score());
        }
      }
    }
  }

  @Test
  void ofNoneKeepsNone() {
    TopK topK = new TopK(0);
    topK.offerAll(new float[] {1, 2}, 0f, 0);
    assertThat(topK.size()).isZero();
  }
}
