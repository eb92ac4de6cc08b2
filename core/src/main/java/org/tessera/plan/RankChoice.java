package org.tessera.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Which GPUs share the layers: the ranks of a stage wait for the slowest of them and for the
 * slowest link among them, so that for each link the fastest cards with no worse one are looked at.
 *
 * @param layers of the model
 * @param ranks of each copy
 * @param copies of the model
 * @param withVisionBytes what a rank takes that has the vision tower, of which each copy needs one
 */
record RankChoice(TimeModel times, int layers, int ranks, int copies, long withVisionBytes) {

  /**
   * Groups of ranks, one for each copy, fastest first; empty where no choice leaves room for vision
   * towers.
   *
   * @param gpus that have room for a rank
   */
  List<List<List<DeviceBudget>>> of(List<DeviceBudget> gpus) {
    List<List<List<DeviceBudget>>> choices = new ArrayList<>();
    gpus.stream()
        .mapToDouble(RankChoice::linkSeconds)
        .distinct()
        .sorted()
        .forEach(slowestLink -> {
          List<DeviceBudget> linked =
              gpus.stream().filter(gpu -> linkSeconds(gpu) <= slowestLink).toList();
          List<List<DeviceBudget>> groups = groups(linked);
          if (!groups.isEmpty()) {
            choices.add(groups);
          }
        });
    return choices;
  }

  private static double linkSeconds(DeviceBudget gpu) {
    return TimeModel.smallMessageSeconds(gpu.speed().link());
  }

  private List<List<DeviceBudget>> groups(List<DeviceBudget> linked) {
    if (linked.size() < ranks * copies) {
      return List.of();
    }
    List<DeviceBudget> left =
        new ArrayList<>(
            linked.stream()
                .sorted(
                    Comparator.comparingDouble(this::stepSeconds)
                        .thenComparing(gpu -> -gpu.speed().flops())
                        .thenComparing(DeviceBudget::device))
                .toList());
    List<List<DeviceBudget>> groups = new ArrayList<>();
    for (int copy = 0; copy < copies; copy++) {
      List<DeviceBudget> group = new ArrayList<>(left.subList(0, ranks));
      if (ranks > 1 && group.stream().noneMatch(this::seesToo)) {
        List<DeviceBudget> eyes =
            left.subList(ranks, left.size()).stream().filter(this::seesToo).limit(1).toList();
        if (eyes.isEmpty()) {
          return List.of();
        }
        group.set(ranks - 1, eyes.getFirst());
      }
      left.removeAll(group);
      groups.add(group);
    }
    return groups;
  }

  private boolean seesToo(DeviceBudget gpu) {
    return gpu.bytes() >= withVisionBytes;
  }

  private double stepSeconds(DeviceBudget gpu) {
    double rows = Math.max(1, (double) times.load().batch() / copies);
    return layers * times.layerSeconds(gpu, ranks, rows) + times.headSeconds(gpu, ranks, rows);
  }
}
