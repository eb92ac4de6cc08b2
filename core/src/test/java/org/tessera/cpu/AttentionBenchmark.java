package org.tessera.cpu;

import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.ops.PagedBatch;
import org.tessera.ops.Segments;
import org.tessera.tensor.Tensor;

/**
 * Attention of pictures, of prompts and of single tokens; {@link LinearBenchmark} says how to run.
 */
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class AttentionBenchmark {
  /** One layer of the vision tower over the slices of a picture. */
  @State(Scope.Benchmark)
  public static class Vision {
    private static final Heads HEADS = new Heads(16, 16, 72);
    private static final int SLICES = 4;
    private static final int PATCHES = 1024;

    private BenchmarkDevice device;
    private Tensor q;
    private Tensor k;
    private Tensor v;
    private Tensor out;
    private Segments slices;

    @Setup(Level.Trial)
    public void open() {
      device = new BenchmarkDevice();
      q = device.activations(SLICES * PATCHES, HEADS.queryColumns());
      k = device.activations(SLICES * PATCHES, HEADS.queryColumns());
      v = device.activations(SLICES * PATCHES, HEADS.queryColumns());
      out = device.activations(SLICES * PATCHES, HEADS.queryColumns());
      int[] starts = IntStream.rangeClosed(0, SLICES).map(i -> i * PATCHES).toArray();
      slices = new Segments(device.ints(starts), SLICES, PATCHES);
    }

    @TearDown(Level.Trial)
    public void close() {
      device.close();
    }
  }

  /** One layer of a small decoder. */
  @State(Scope.Benchmark)
  public static class Decoder {
    private static final Heads HEADS = new Heads(14, 2, 64);
    private static final int BLOCK_ROWS = 16;

    @Param({"512", "4096"})
    public int context;

    private BenchmarkDevice device;
    private Tensor q;
    private Tensor out;
    private KvLayer cache;
    private PagedBatch prompt;
    private PagedBatch token;

    @Setup(Level.Trial)
    public void open() {
      device = new BenchmarkDevice();
      q = device.activations(context, HEADS.queryColumns());
      out = device.activations(context, HEADS.queryColumns());
      cache =
          new KvLayer(
              device.activations(context, HEADS.keyValueColumns()),
              device.activations(context, HEADS.keyValueColumns()),
              BLOCK_ROWS);
      int blocks = context / BLOCK_ROWS;
      Tensor table = device.ints(IntStream.range(0, blocks).map(i -> blocks - 1 - i).toArray());
      Tensor rows = device.ints(context);
      Tensor positions = device.ints(IntStream.range(0, context).toArray());
      Segments all = new Segments(device.ints(0, context), 1, context);
      prompt = new PagedBatch(all, positions, positions, rows, table, context);
      Tensor last = device.ints(context - 1);
      Segments one = new Segments(device.ints(0, 1), 1, 1);
      token = new PagedBatch(one, last, last, rows, table, context);
    }

    @TearDown(Level.Trial)
    public void close() {
      device.close();
    }
  }

  @Benchmark
  public void vision(Vision s, BenchmarkDevice.Work work) {
    s.device.ops().attention(s.q, s.k, s.v, s.slices, s.slices, Vision.HEADS, 0.1f, s.out);
    work.operations += 4L * Vision.SLICES * Vision.PATCHES * Vision.PATCHES * s.q.columns();
  }

  /** Half of the products are behind the causal mask and not counted. */
  @Benchmark
  public void prompt(Decoder s, BenchmarkDevice.Work work) {
    s.device.ops().pagedAttention(s.q, s.cache, s.prompt, Decoder.HEADS, 0.1f, s.out);
    work.operations += 2L * s.context * s.context * s.q.columns();
  }

  @Benchmark
  public void token(Decoder s, BenchmarkDevice.Work work) {
    Tensor q = s.q.rows(0, 1);
    Tensor out = s.out.rows(0, 1);
    s.device.ops().pagedAttention(q, s.cache, s.token, Decoder.HEADS, 0.1f, out);
    work.bytes += s.cache.keys().byteSize() + s.cache.values().byteSize();
    work.operations += 4L * s.context * s.q.columns();
  }
}
