package org.tessera.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
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
import org.tessera.ops.Activation;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * Linear layers: GB/s of weights with few rows, beside what plain reading of memory reaches;
 * GFLOP/s with many.
 *
 * <pre>{@code
 * ./mvnw -pl core test-compile dependency:build-classpath -Dmdep.outputFile=target/test.classpath
 * cd core && java --add-modules jdk.incubator.vector \
 *   -cp target/classes:target/test-classes:$(cat target/test.classpath) \
 *   org.openjdk.jmh.Main 'LinearBenchmark|AttentionBenchmark'
 * }</pre>
 */
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class LinearBenchmark {
  /** Memory alone. */
  @State(Scope.Benchmark)
  public static class Buffer {
    private Workers workers;
    private MemorySegment memory;

    @Setup(Level.Trial)
    public void open() {
      workers = new Workers(Runtime.getRuntime().availableProcessors());
      memory = Arena.ofAuto().allocate(MemoryBandwidth.bufferBytes(), 64);
    }

    @TearDown(Level.Trial)
    public void close() {
      workers.close();
    }
  }

  /** The vocabulary of a small model: too large for any cache. */
  @State(Scope.Benchmark)
  public static class Streamed {
    @Param({"1", "3", "8"})
    public int rows;

    private BenchmarkDevice device;
    private Tensor x;
    private Matrix w;
    private Tensor out;

    @Setup(Level.Trial)
    public void open() {
      device = new BenchmarkDevice();
      x = device.activations(rows, 896);
      w = device.weights(151936, 896);
      out = device.activations(rows, 151936);
    }

    @TearDown(Level.Trial)
    public void close() {
      device.close();
    }
  }

  /** A projection of a prompt. */
  @State(Scope.Benchmark)
  public static class Tiled {
    @Param({"64", "512"})
    public int rows;

    @Param({"896x4864", "4864x896", "3584x3584"})
    public String weights;

    private BenchmarkDevice device;
    private Tensor x;
    private Matrix w;
    private Tensor out;

    @Setup(Level.Trial)
    public void open() {
      int cross = weights.indexOf('x');
      int inputs = Integer.parseInt(weights.substring(0, cross));
      int outputs = Integer.parseInt(weights.substring(cross + 1));
      device = new BenchmarkDevice();
      x = device.activations(rows, inputs);
      w = device.weights(outputs, inputs);
      out = device.activations(rows, outputs);
    }

    @TearDown(Level.Trial)
    public void close() {
      device.close();
    }
  }

  @Benchmark
  public long readMemory(Buffer buffer, BenchmarkDevice.Work work) {
    work.bytes += buffer.memory.byteSize();
    return MemoryBandwidth.sum(buffer.workers, buffer.memory);
  }

  @Benchmark
  public void few(Streamed s, BenchmarkDevice.Work work) {
    s.device.ops().linear(s.x, s.w, null, Activation.NONE, s.out);
    work.bytes += s.w.byteSize();
    work.operations += 2L * s.x.rows() * s.w.rows() * s.w.columns();
  }

  @Benchmark
  public void many(Tiled t, BenchmarkDevice.Work work) {
    t.device.ops().linear(t.x, t.w, null, Activation.NONE, t.out);
    work.bytes += t.w.byteSize();
    work.operations += 2L * t.x.rows() * t.w.rows() * t.w.columns();
  }
}
