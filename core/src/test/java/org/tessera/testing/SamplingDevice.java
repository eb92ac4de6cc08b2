package org.tessera.testing;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * The CPU as a device that would rather choose tokens than give its logits away, as a GPU would.
 */
public final class SamplingDevice implements Device {
  private final Device cpu = Devices.probe().open("cpu");
  private final boolean recordsWork;
  private final AtomicInteger downloadedFloats = new AtomicInteger();

  /**
   * @param recordsWork whether it asks for steps that could be recorded, which it then just runs
   */
  public SamplingDevice(boolean recordsWork) {
    this.recordsWork = recordsWork;
  }

  /** Floats that went to the host since the last call. */
  public int takeDownloadedFloats() {
    return downloadedFloats.getAndSet(0);
  }

  @Override
  public boolean samplesOnDevice() {
    return true;
  }

  @Override
  public boolean recordsWork() {
    return recordsWork;
  }

  @Override
  public float[] download(Tensor source) {
    float[] values = cpu.download(source);
    downloadedFloats.addAndGet(values.length);
    return values;
  }

  @Override
  public DeviceInfo info() {
    return cpu.info();
  }

  @Override
  public Ops ops() {
    return cpu.ops();
  }

  @Override
  public DType activationType() {
    return cpu.activationType();
  }

  @Override
  public double measureReadBandwidth() {
    return cpu.measureReadBandwidth();
  }

  @Override
  public DeviceMemory allocateRegion() {
    return cpu.allocateRegion();
  }

  @Override
  public Matrix place(List<Tensor> hostParts, DType dtype, DeviceMemory region) {
    return cpu.place(hostParts, dtype, region);
  }

  @Override
  public Tensor placeVector(List<Tensor> hostParts, DeviceMemory region) {
    return cpu.placeVector(hostParts, region);
  }

  @Override
  public void upload(float[] source, Tensor destination) {
    cpu.upload(source, destination);
  }

  @Override
  public void upload(int[] source, Tensor destination) {
    cpu.upload(source, destination);
  }

  @Override
  public void download(Tensor source, int[] destination) {
    cpu.download(source, destination);
  }

  @Override
  public void close() {
    cpu.close();
  }
}
