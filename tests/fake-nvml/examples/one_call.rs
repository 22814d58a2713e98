//! Makes one call to the simulated library in a process of its own, for calls that may end the process:
//! `SIMULATED_NVML_STATE=state.json one_call libsimulated_nvml.so uuid|name|power INDEX`.

use std::process::ExitCode;

use nvml_wrapper::Nvml;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, what, index] = arguments.as_slice() else {
        eprintln!("usage: one_call LIBRARY uuid|name|power INDEX");
        return ExitCode::from(2);
    };
    match ask(library, what, index.parse().unwrap_or_default()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(library: &str, what: &str, index: u32) -> Result<String, Box<dyn std::error::Error>> {
    let nvml = Nvml::builder().lib_path(library.as_ref()).init()?;
    let gpu = nvml.device_by_index(index)?;
    Ok(match what {
        "uuid" => gpu.uuid()?,
        "name" => gpu.name()?,
        _ => gpu.power_usage()?.to_string(),
    })
}
