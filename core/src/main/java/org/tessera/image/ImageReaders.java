package org.tessera.image;

import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import java.util.Iterator;
import javax.imageio.ImageReader;
import javax.imageio.spi.IIORegistry;
import javax.imageio.spi.ImageReaderSpi;

/**
 * The platform's own image readers, whatever else is on the class path: plug-ins that an
 * application installs must not change what the model sees.
 */
final class ImageReaders {
  private ImageReaders() {}

  /** Decodes the first picture of a file. Metadata is not read. */
  static BufferedImage read(String format, byte[] file) throws IOException {
    return read(reader(format), file, reader -> reader.read(0));
  }

  /** Decodes the first picture of a file to its own samples, without a conversion of colours. */
  static Raster readRaster(String format, byte[] file) throws IOException {
    return read(reader(format), file, reader -> reader.readRaster(0, null));
  }

  private static <T> T read(ImageReader reader, byte[] file, Action<T> action) throws IOException {
    try (MemoryImageInput input = new MemoryImageInput(file)) {
      reader.setInput(input, true, true);
      T result = action.run(reader);
      // Some readers fill the missing part with grey and only warn.
      if (input.overrun()) {
        throw new EOFException("the file ends before its picture");
      }
      return result;
    } finally {
      reader.dispose();
    }
  }

  /** Something done with a reader. */
  @FunctionalInterface
  private interface Action<T> {
    T run(ImageReader reader) throws IOException;
  }

  private static ImageReader reader(String format) throws IOException {
    Iterator<ImageReaderSpi> providers =
        IIORegistry.getDefaultInstance()
            .getServiceProviders(
                ImageReaderSpi.class, provider -> isPlatforms(provider, format), false);
    if (!providers.hasNext()) {
      throw new IOException("this Java platform has no reader for " + format);
    }
    return providers.next().createReaderInstance();
  }

  private static boolean isPlatforms(Object provider, String format) {
    return provider.getClass().getModule() == ImageReader.class.getModule()
        && provider instanceof ImageReaderSpi spi
        && Arrays.asList(spi.getFormatNames()).contains(format);
  }
}
