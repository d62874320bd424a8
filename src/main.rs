//! x
#![allow(missing_docs, clippy::all, clippy::print_stdout, clippy::unwrap_used)]
use sfarc::{backend::*, env::*, repo::*, engine::snapshot::*};
use std::sync::Arc;
fn main(){
  let a:Vec<String>=std::env::args().collect();
  let repo=std::env::var("SFARC_REPO").unwrap(); let p=std::path::Path::new(&repo);
  let cred=Credential::Passphrase(zeroize::Zeroizing::new(std::env::var("SFARC_PASSWORD").unwrap().into_bytes()));
  let t=std::time::Instant::now();
  match &a[1][..] {
   "init" => { Repository::init(Arc::new(folder::FolderBackend::create(p).unwrap()),&cred,Env::system()).unwrap(); }
   "snapshot" => { let r=Repository::open(Arc::new(folder::FolderBackend::open(p)),&repo,||Ok(cred),Env::system()).unwrap(); eprintln!("open {:?}",t.elapsed());
      let input=if a[2]=="--stdin"{Input{name:a[3].clone().into(),from:From::Stdin}}else{Input{name:b"dump.sql".to_vec(),from:From::File(a[3].clone().into())}};
      let rep=snapshot(&r,&Options{inputs:vec![input],host:"h".into(),..Default::default()}).unwrap(); eprintln!("{:?} {:?} {}",t.elapsed(),rep.counts,rep.id.unwrap()); }
   "cat" => { let r=Repository::open(Arc::new(folder::FolderBackend::open(p)),&repo,||Ok(cred),Env::system()).unwrap(); let s=r.resolve(&a[2]).unwrap(); let mut e=sfarc::pipeline::egress::Egress::open(&r).unwrap();
      use std::io::Write; let mut o=std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned().unwrap()); e.write_all(&s.manifest.streams[0].content,|b|o.write_all(b)).unwrap(); eprintln!("{:?}",t.elapsed()); }
   _=>{} }
}
