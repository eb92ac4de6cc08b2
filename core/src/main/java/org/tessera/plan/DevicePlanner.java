package org.tessera.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.tessera.error.PlanException;
import org.tessera.plan.Candidate.Feasible;
import org.tessera.plan.Candidate.Refused;
import org.tessera.plan.Plan.PerDevice;

/**
 * Tessera's own plan: of all ways to run the model that fit, the one with the most predicted tokens
 * a second for as many answers at once as were asked for. For one answer that is the least time a
 * token; for many, copies of the model count. Equally fast ways are decided by fewer devices, then
 * by the earlier first token. A way that encodes pictures on the CPU is taken where there is no
 * other. Every device's bytes count weights, KV cache, activations and what a GPU's runtime takes,
 * and stay within its budget.
 */
public final class DevicePlanner {
  private static final Comparator<DeviceBudget> ROOM =
      Comparator.comparingLong(DeviceBudget::bytes);

  private static final Comparator<Feasible> BEST_FIRST =
      Comparator.comparing(Feasible::seesOnCpu)
          .thenComparing(
              Comparator.comparingDouble(
                      (Feasible candidate) -> candidate.prediction().tokensPerSecond())
                  .reversed())
          .thenComparingInt(Feasible::deviceCount)
          .thenComparingDouble(candidate -> candidate.prediction().firstTokenSeconds());

  /** Differences below are not worth a number with two decimals. */
  private static final double SAME = 1.005;

  private final ModelSizes sizes;
  private final ModuleTree tree;
  private final OptionalInt tensorParallel;
  private final OptionalInt replicas;

  /** A planner for a model of these sizes. */
  public DevicePlanner(ModelSizes sizes) {
    this(sizes, OptionalInt.empty(), OptionalInt.empty());
  }

  /**
   * A planner that looks only at some ways.
   *
   * @param tensorParallel over how many ranks each layer is to be cut; 1 for whole layers
   * @param replicas how many copies of the model there are to be
   */
  public DevicePlanner(ModelSizes sizes, OptionalInt tensorParallel, OptionalInt replicas) {
    this.sizes = sizes;
    this.tree = MiniCpmModules.of(sizes);
    this.tensorParallel = tensorParallel;
    this.replicas = replicas;
  }

  /**
   * Lays the model over devices.
   *
   * @param devices what may be used, each device once
   * @throws PlanException where it does not fit: by how much, and what would
   */
  public Plan plan(List<DeviceBudget> devices, PlanRequest request) {
    if (devices.isEmpty()) {
      throw new PlanException("there is no device to place the model on: list cpu or a GPU");
    }
    CandidateSearch search = new CandidateSearch(sizes, tree, request, devices);
    List<Candidate> candidates = search.all(tensorParallel, replicas);
    List<Feasible> ranking =
        candidates.stream()
            .filter(Feasible.class::isInstance)
            .map(Feasible.class::cast)
            .sorted(BEST_FIRST)
            .toList();
    if (ranking.isEmpty()) {
      throw isForced() ? forcedRefusal(candidates, devices, request) : refusal(devices, request);
    }
    Feasible chosen = ranking.getFirst();
    List<Candidate> explained = new ArrayList<>();
    for (Candidate candidate : candidates) {
      explained.add(
          switch (candidate) {
            case Refused refused -> refused;
            case Feasible feasible ->
                feasible.because(
                    feasible == chosen ? why(ranking, devices) : whyNot(feasible, chosen));
          });
    }
    return new Plan(
        DeploymentText.deviceMap(chosen.deployment(), tree),
        List.copyOf(chosen.perDevice().values()),
        "%s: %s".formatted(chosen.placement(), why(ranking, devices)),
        List.of(),
        Optional.of(chosen.deployment()),
        explained,
        search.workload());
  }

  static Map<DeviceId, DeviceBudget> byId(List<DeviceBudget> devices) {
    Map<DeviceId, DeviceBudget> byId = new HashMap<>();
    devices.forEach(budget -> byId.put(budget.device(), budget));
    return byId;
  }

  private boolean isForced() {
    return tensorParallel.isPresent() || replicas.isPresent();
  }

  private static String why(List<Feasible> ranking, List<DeviceBudget> devices) {
    Feasible chosen = ranking.getFirst();
    List<DeviceBudget> gpus = devices.stream().filter(budget -> budget.device().isGpu()).toList();
    if (gpus.isEmpty()) {
      return "no GPU is given";
    }
    if (ranking.size() == 1) {
      return gpus.size() == 1 && chosen.deviceCount() == 1 && !chosen.seesOnCpu()
          ? "the model fits on the one GPU"
          : "nothing else fits";
    }
    Feasible next = ranking.get(1);
    double factor = chosen.prediction().tokensPerSecond() / next.prediction().tokensPerSecond();
    if (next.seesOnCpu() && !chosen.seesOnCpu()) {
      return "pictures need not wait for the CPU, as they would with " + next.name();
    }
    return factor < SAME
        ? "as fast as %s, with %s"
            .formatted(
                next.name(),
                chosen.deviceCount() < next.deviceCount()
                    ? "fewer devices"
                    : "an earlier first token")
        : "%s times as many tokens a second as the next best, %s"
            .formatted(factor(factor), next.name());
  }

  private static String whyNot(Feasible candidate, Feasible chosen) {
    if (candidate.seesOnCpu() && !chosen.seesOnCpu()) {
      return "pictures would wait for the CPU";
    }
    double factor =
        chosen.prediction().tokensPerSecond() / candidate.prediction().tokensPerSecond();
    if (factor >= SAME) {
      return "%s has %s times as many tokens a second".formatted(chosen.name(), factor(factor));
    }
    return candidate.deviceCount() > chosen.deviceCount()
        ? "no faster than %s, on more devices".formatted(chosen.name())
        : "no faster than %s, which has the first token earlier".formatted(chosen.name());
  }

  private static String factor(double factor) {
    return String.format(Locale.ROOT, "%.2f", factor);
  }

  /** What was asked for by number is impossible: the first way's reason, and what would help. */
  private PlanException forcedRefusal(
      List<Candidate> candidates, List<DeviceBudget> devices, PlanRequest request) {
    Candidate first = candidates.getFirst();
    int context = largestContext(devices, request);
    return new PlanException(
        "%s is not possible: %s%s"
            .formatted(
                first.name(),
                first.reason(),
                context > 0 ? "; a context of %d tokens would fit".formatted(context) : ""));
  }

  private PlanException refusal(List<DeviceBudget> devices, PlanRequest request) {
    DeviceBudget roomiest = devices.stream().max(ROOM).orElseThrow();
    MemoryModel memory = new MemoryModel(sizes, tree, request);
    PerDevice need =
        memory.predict(Placement.everythingOn(roomiest.device())).firstEntry().getValue();
    long haveBytes = devices.stream().mapToLong(DeviceBudget::bytes).sum();
    long missingBytes = need.totalBytes() - haveBytes;
    String budgets =
        devices.stream()
            .map(budget -> "%s: %s".formatted(budget.device(), ByteSize.format(budget.bytes())))
            .collect(Collectors.joining(", "));
    return new PlanException(
        "the model does not fit: it needs %s (%s) and there are %s (%s), %s; %s"
            .formatted(
                ByteSize.format(need.totalBytes()),
                parts(need, request),
                ByteSize.format(haveBytes),
                budgets,
                missingBytes > 0
                    ? ByteSize.format(missingBytes) + " too little"
                    : "which is enough in sum but not for whole layers on each device",
                remedy(devices, request)));
  }

  private static String parts(PerDevice need, PlanRequest request) {
    return "weights %s, KV cache %s for %d tokens x %d, activations and runtime %s"
        .formatted(
            ByteSize.format(need.weightBytes()),
            ByteSize.format(need.kvBytes()),
            request.contextTokens(),
            request.batch(),
            ByteSize.format(need.activationBytes() + need.visionPeakBytes() + need.runtimeBytes()));
  }

  private String remedy(List<DeviceBudget> devices, PlanRequest request) {
    int fits = largestContext(devices, request);
    boolean hasCpu = devices.stream().anyMatch(budget -> budget.device().equals(DeviceId.CPU));
    String remedy =
        fits > 0
            ? "a context of %d tokens would fit".formatted(fits)
            : "no smaller context would make it fit: it takes more memory, a smaller batch or fewer"
                + " slices at once";
    return hasCpu
        ? remedy
        : remedy + ", or cpu among the devices for the layers that are left over";
  }

  /** The largest context that fits, by bisection: memory grows with the context. 0 for none. */
  private int largestContext(List<DeviceBudget> devices, PlanRequest request) {
    int fits = 0;
    int fails = request.contextTokens();
    while (fails - fits > 1) {
      int middle = fits + (fails - fits) / 2;
      PlanRequest smaller = request.withContextTokens(middle);
      if (new CandidateSearch(sizes, tree, smaller, devices).anyFits(tensorParallel, replicas)) {
        fits = middle;
      } else {
        fails = middle;
      }
    }
    return fits;
  }
}
